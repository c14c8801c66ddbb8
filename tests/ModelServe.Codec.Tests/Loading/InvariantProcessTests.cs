using System.Diagnostics;
using Xunit;

namespace ModelServe.Codec.Tests.Loading;

/// <summary>A process that was told to do without Unicode data would normalize nothing, without an error; loading refuses there.</summary>
public sealed class InvariantProcessTests
{
    private const string Switch = "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT";

    [Fact]
    public async Task A_process_without_ICU_refuses_a_tokenizer_that_normalizes()
    {
        if ("e\u0301".Normalize() == "\u00E9")
        {
            Assert.Equal(0, await RunAgainWithoutIcu());
            return;
        }
        string folder = Path.Combine(AppContext.BaseDirectory, "Synthetic", "cases", "qwen");
        string message = Assert.Throws<UnsupportedFeatureException>(() => HfTokenizer.Load(folder)).Message;
        Assert.Contains("tokenizer.json: normalizer", message, StringComparison.Ordinal);
        Assert.Contains("ICU", message, StringComparison.Ordinal);
        HfTokenizer other = HfTokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Synthetic", "cases", "gpt2"));
        Assert.Equal("e\u0301", other.Decode(other.EncodeIds("e\u0301", addSpecialTokens: false, parseSpecialTokens: false)));
    }

    private static async Task<int> RunAgainWithoutIcu()
    {
        string program = typeof(InvariantProcessTests).Assembly.Location;
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList = { "exec", program, "-method", $"{typeof(InvariantProcessTests).FullName}.{nameof(A_process_without_ICU_refuses_a_tokenizer_that_normalizes)}" },
            RedirectStandardOutput = true,
        };
        start.Environment[Switch] = "1";
        using Process child = Process.Start(start)!;
        await child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await child.WaitForExitAsync(TestContext.Current.CancellationToken);
        return child.ExitCode;
    }
}
