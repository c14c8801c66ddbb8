using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>The built program as a user starts it: its own process, its own standard streams.</summary>
internal sealed partial class ModelServeProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();
    private readonly Task _errorPump;
    private readonly SemaphoreSlim _errorLines = new(0);

    private ModelServeProcess(Process process)
    {
        _process = process;
        _errorPump = Task.Run(PumpErrorsAsync);
    }

    /// <summary>Lines of standard error so far.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    /// <summary>Starts the program.</summary>
    public static ModelServeProcess Start(params string[] arguments) => Start(new Dictionary<string, string>(), arguments);

    /// <summary>Starts the program with these variables in its environment beside the test's own.</summary>
    public static ModelServeProcess Start(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, UseShellExecute = false };
        start.ArgumentList.Add("exec");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "modelserve.dll"));
        foreach (string argument in Unwarmed(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return new ModelServeProcess(Process.Start(start)!);
    }

    /// <summary>Starts the program from a shell that has run some commands before, such as setting a limit.</summary>
    /// <param name="before">The commands.</param>
    /// <param name="redirection">Where the program's streams go instead of to this process, in the shell's words.</param>
    /// <param name="arguments">The program's.</param>
    public static ModelServeProcess StartIn(string before, string redirection, params string[] arguments)
    {
        ProcessStartInfo start = new("bash") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, UseShellExecute = false };
        foreach (string argument in (string[])["-c", $"{before}\nexec dotnet exec \"$0\" \"$@\" {redirection}", Path.Combine(AppContext.BaseDirectory, "modelserve.dll"), .. Unwarmed(arguments)])
        {
            start.ArgumentList.Add(argument);
        }

        return new ModelServeProcess(Process.Start(start)!);
    }

    // A server that is up for a moment need not be at its fastest.
    private static string[] Unwarmed(string[] arguments) =>
        arguments is ["serve", ..] && !arguments.Any(argument => argument.StartsWith("--warm-up", StringComparison.Ordinal)) ? [.. arguments, "--warm-up", "0"] : arguments;

    /// <summary>Runs the program to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        using ModelServeProcess program = Start(arguments);
        string output = await program._process.StandardOutput.ReadToEndAsync(cancellationToken);
        int code = await program.WaitAsync(cancellationToken);
        return (code, output, program.Errors);
    }

    /// <summary>Runs the program to its end with this text as its standard input.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunWithInputAsync(string input, CancellationToken cancellationToken, params string[] arguments)
    {
        using ModelServeProcess program = Start(arguments);
        Task<string> output = program._process.StandardOutput.ReadToEndAsync(cancellationToken);
        await using (Stream standardInput = program._process.StandardInput.BaseStream)
        {
            await standardInput.WriteAsync(Encoding.UTF8.GetBytes(input), cancellationToken);
        }

        string text = await output;
        return (await program.WaitAsync(cancellationToken), text, program.Errors);
    }

    /// <summary>Waits until standard error holds the text.</summary>
    public async Task<string> WaitForErrorTextAsync(string text, CancellationToken cancellationToken)
    {
        while (!Errors.Contains(text, StringComparison.Ordinal))
        {
            await Task.WhenAny(_errorLines.WaitAsync(cancellationToken), _errorPump);
            cancellationToken.ThrowIfCancellationRequested();
            if (_errorPump.IsCompleted && !Errors.Contains(text, StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"the program ended without saying '{text}': {Errors}");
            }
        }

        return Errors;
    }

    /// <summary>Sends SIGTERM.</summary>
    public void Terminate() => Signal(15);

    /// <summary>Sends SIGHUP; the test is skipped where nobody would hear it, because it was ignored before the tests began (nohup).</summary>
    public void HangUp()
    {
        string ignored = File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal))[7..].Trim();
        Assert.SkipWhen((Convert.ToUInt64(ignored, 16) & 1) != 0, "SIGHUP is ignored in this session");
        Signal(1);
    }

    /// <summary>Sends SIGKILL.</summary>
    public void Kill() => Signal(9);

    private void Signal(int signal)
    {
        if (Kill(_process.Id, signal) != 0)
        {
            throw new InvalidOperationException("kill: errno " + Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Waits for the end; returns the exit code.</summary>
    public async Task<int> WaitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        await _errorPump.WaitAsync(cancellationToken);
        return _process.ExitCode;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
        _errorLines.Dispose();
    }

    private async Task PumpErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_errors)
            {
                _errors.AppendLine(line);
            }

            _errorLines.Release();
        }

        _errorLines.Release();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int process, int signal);
}
