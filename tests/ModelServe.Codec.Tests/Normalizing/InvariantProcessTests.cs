using System.Diagnostics;
using Xunit;

namespace ModelServe.Codec.Tests.Normalizing;

/// <summary>Ids and texts are the same in a process that does without ICU, as a container without libicu starts one.</summary>
public sealed class InvariantProcessTests
{
    private const string Switch = "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT";

    [Theory]
    [InlineData("ModelServe.Codec.Tests.Synthetic")]
    [InlineData("ModelServe.Codec.Tests.Normalizing")]
    [InlineData("ModelServe.Codec.Tests.Templates")]
    public async Task The_frozen_expectations_hold_without_ICU(string tests)
    {
        // The runtime normalizes nothing without ICU: this is the child, or a machine where all tests run so anyway.
        if (!string.Equals("e\u0301".Normalize(), "\u00E9", StringComparison.Ordinal))
        {
            return;
        }
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList = { "exec", typeof(InvariantProcessTests).Assembly.Location, "-noColor", "-namespace", tests },
            RedirectStandardOutput = true,
        };
        start.Environment[Switch] = "1";
        using Process child = Process.Start(start)!;
        string output = await child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await child.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(child.ExitCode == 0, output);
        Assert.DoesNotContain("Total: 0", output, StringComparison.Ordinal);
    }
}
