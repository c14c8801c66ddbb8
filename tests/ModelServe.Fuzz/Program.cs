using ModelServe.Fuzz;
using SharpFuzz;

// modelserve-fuzz TARGET TEXT-FOLDER: fuzzes by AFL (the assemblies instrumented by the sharpfuzz tool, the program under afl-fuzz).
// modelserve-fuzz TARGET TEXT-FOLDER FILE…: replays files.
if (args.Length < 2 || !FuzzTargets.Names.Contains(args[0]))
{
    await Console.Error.WriteLineAsync($"expected TARGET TEXT-FOLDER [FILE…] with a target of {string.Join(", ", FuzzTargets.Names)}");
    return 2;
}

if (args.Length > 2)
{
    using var replayed = new FuzzTargets(args[1]);
    foreach (string file in args[2..])
    {
        replayed.Run(args[0], await File.ReadAllBytesAsync(file));
    }

    return 0;
}

// Made by the first input: code that the tool has instrumented may not run before the fuzzer's memory is there.
FuzzTargets? targets = null;
Fuzzer.OutOfProcess.Run(stream =>
{
    targets ??= new FuzzTargets(args[1]);
    using var bytes = new MemoryStream();
    stream.CopyTo(bytes);
    targets.Run(args[0], bytes.ToArray());
});
targets?.Dispose();
return 0;
