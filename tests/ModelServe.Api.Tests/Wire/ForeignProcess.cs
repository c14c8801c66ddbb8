using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Runs clients of other makers, each in its own process. A test is skipped where one is not installed.</summary>
internal static class ForeignProcess
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Folder of a client below tests/oracles; skips the test unless the package is there.</summary>
    public static string Folder(string oracle, string package)
    {
        string folder = Path.Combine(Repository.Root, "tests", "oracles", oracle);
        if (!Directory.Exists(Path.Combine(folder, "node_modules", package)))
        {
            Assert.Skip($"{package} is not installed: npm install in tests/oracles/{oracle}");
        }

        return folder;
    }

    /// <summary>Runs a script and reads the one JSON value that it prints.</summary>
    /// <param name="oracle">The client's folder.</param>
    /// <param name="package">A package that it needs.</param>
    /// <param name="arguments">The script and its arguments.</param>
    /// <param name="onErrorLine">Told of every line on standard error.</param>
    public static async Task<JsonElement> NodeAsync(string oracle, string package, string[] arguments, Action<string>? onErrorLine = null)
    {
        using Process node = Start("node", Folder(oracle, package), arguments);
        Task<string> output = node.StandardOutput.ReadToEndAsync(Token);
        List<string> lines = [];
        while (await node.StandardError.ReadLineAsync(Token) is { } line)
        {
            lines.Add(line);
            onErrorLine?.Invoke(line);
        }

        await node.WaitForExitAsync(Token);
        Assert.True(node.ExitCode == 0, string.Join('\n', lines));
        return JsonDocument.Parse(await output).RootElement.Clone();
    }

    /// <summary>Runs a program to its end, or kills it with its children once its output shows a text.</summary>
    /// <returns>The exit code, and both outputs.</returns>
    public static async Task<(int Code, string Output)> RunAsync(string program, string folder, string[] arguments, string? killAt = null)
    {
        using Process process = Start(program, folder, arguments);
        Task<string> errors = process.StandardError.ReadToEndAsync(Token);
        string output = "";
        while (await process.StandardOutput.ReadLineAsync(Token) is { } line)
        {
            output += line + "\n";
            if (killAt is not null && line.Contains(killAt, StringComparison.Ordinal))
            {
                process.Kill(entireProcessTree: true);
                break;
            }
        }

        await process.WaitForExitAsync(Token);
        return (process.ExitCode, output + await errors);
    }

    private static Process Start(string program, string folder, string[] arguments)
    {
        var start = new ProcessStartInfo(program) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            Assert.Skip($"{program} is not installed: {exception.Message}");
            throw;
        }
    }
}
