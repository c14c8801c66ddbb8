using System.CommandLine;
using ModelServe.Codec;
using ModelServe.Execution.Loading;
using ModelServe.Host.Commands;
using ModelServe.Host.Models;

RootCommand root = new("ModelServe: serves Hugging Face checkpoints over gRPC. Without a command: serve.");
root.Subcommands.Add(new ServeCommand());
root.Subcommands.Add(new RunCommand());
root.Subcommands.Add(new TokenizeCommand());
root.Subcommands.Add(new RenderCommand());
root.Subcommands.Add(new ParseCommand());
root.Subcommands.Add(new InspectCommand());
root.Subcommands.Add(new EvalCommand());
root.Subcommands.Add(new KeyCommand());

try
{
    InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
    return await root.Parse(args.Length == 0 ? ["serve"] : args).InvokeAsync(configuration);
}
catch (Exception error) when (error is ModelLoadException or InvalidTextModelException or UnsupportedFeatureException
    or RequestRefusedException or FormatException or InvalidDataException or IOException or UnauthorizedAccessException)
{
    // What an operator can mend is told in one line; a bug keeps its stack.
    await Console.Error.WriteLineAsync("modelserve: " + error.Message);
    return 1;
}
catch (OperationCanceledException)
{
    return 130;
}
