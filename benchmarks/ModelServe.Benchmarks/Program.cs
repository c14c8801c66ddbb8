using System.Globalization;
using BenchmarkDotNet.Running;
using ModelServe.Benchmarks;
using ModelServe.Execution.Quantization;

// The named tables need no harness; everything else goes to BenchmarkDotNet.
switch (args)
{
    case ["stalls", ..]:
        ProcessorStalls.Print(Console.Out, TimeSpan.FromSeconds(Number(args, 1, 20)));
        return 0;
    case ["dram", ..]:
        DramBandwidth.Print(Console.Out);
        return 0;
    case ["cpu", .. var words]:
        if (words.FirstOrDefault(word => !CpuTable.Formats.Contains(word) && !RandomCheckpoint.Shapes.ContainsKey(word)) is { } unknown)
        {
            await Console.Error.WriteLineAsync($"shapes and formats: any of {string.Join(", ", [.. RandomCheckpoint.Shapes.Keys, .. CpuTable.Formats])}; got {unknown}");
            return 2;
        }

        await CpuTable.PrintAsync(Console.Out, words);
        return 0;
    case ["wire", .. var rows]:
        await WireTable.PrintAsync(Console.Out, Path.Combine(AppContext.BaseDirectory, "models", "tiny-mini"), rows, TimeSpan.FromSeconds(10));
        return 0;
    case ["wire-turns", var turns, .. var processes]:
        await WireTurns.PrintAsync(Console.Out, Path.Combine(AppContext.BaseDirectory, "models", "tiny-mini"), int.Parse(turns, CultureInfo.InvariantCulture), processes);
        return 0;
    case ["wire-server", var folder, ..]:
        return await WireServerProcess.RunAsync(folder, Number(args, 2, 1024));
    case ["closed-loop", var directory, ..]:
        await ClosedLoopTable.PrintAsync(Console.Out, directory, Number(args, 2, 128), Number(args, 3, 64), Number(args, 4, 3), [.. Word(args, 5, "1,4,8").Split(',').Select(word => int.Parse(word, CultureInfo.InvariantCulture))], args.Length > 6 ? args[6..] : ["32", "x1.75"]);
        return 0;
    case ["beside", var directory, ..]:
        await ClosedLoopTable.PrintBesideAsync(Console.Out, directory, Number(args, 2, 512), Number(args, 3, 3), args.Length > 4 ? args[4..] : ["32", "x1.75"]);
        return 0;
    case ["step-trace", var directory, ..]:
        await ClosedLoopTable.PrintTraceAsync(Console.Out, directory, Number(args, 2, 512), args.Length > 3 ? args[3..] : ["x1.75"]);
        return 0;
    case ["steps", var directory, ..]:
        StepTimeTable.Print(Console.Out, directory, Number(args, 2, 160), Number(args, 3, 10));
        return 0;
    case ["gemm", ..]:
        GemmTable.Print(Console.Out, Number(args, 1, 20), Number(args, 2, Environment.ProcessorCount));
        return 0;
    case ["products", var shape, var format, ..]:
        if (!RandomCheckpoint.Shapes.ContainsKey(shape) || !CpuTable.Formats.Take(4).Contains(format))
        {
            await Console.Error.WriteLineAsync($"shape: one of {string.Join(", ", RandomCheckpoint.Shapes.Keys)}, and a format: one of {string.Join(", ", CpuTable.Formats.Take(4))}; got {shape} {format}");
            return 2;
        }

        ProductsTable.Print(
            Console.Out,
            shape,
            format,
            Number(args, 3, 20),
            Environment.ProcessorCount,
            args.Length > 4 ? [.. args.Skip(4).Select(text => int.Parse(text, CultureInfo.InvariantCulture))] : [1, 4, 8, 16, 24, 32, 40, 48, 64]);
        return 0;
    case ["stages", var directory, var format, ..]:
        await StagesTable.PrintAsync(
            Console.Out,
            directory,
            format,
            Number(args, 3, 64),
            args.Length > 4 ? [.. args.Skip(4).Select(text => int.Parse(text, CultureInfo.InvariantCulture))] : [512, 1, 4, 8, 16, 32, 64]);
        return 0;
    case ["attention", ..]:
        AttentionTable.Print(Console.Out, Number(args, 1, 10), Number(args, 2, Environment.ProcessorCount));
        return 0;
    case ["checkpoint", var shape, var directory]:
        if (!RandomCheckpoint.Shapes.TryGetValue(shape, out CheckpointShape? sizes))
        {
            await Console.Error.WriteLineAsync($"shape: one of {string.Join(", ", RandomCheckpoint.Shapes.Keys)}; got {shape}");
            return 2;
        }

        RandomCheckpoint.Write(directory, sizes, seed: 1);
        return 0;
    case ["decode", var directory, ..]:
        DramBandwidth.Print(Console.Out);
        await DecodeTable.PrintAsync(Console.Out, directory, Number(args, 2, 64), [1, 4, 8, 16]);
        return 0;
    case ["tokenizers", var vocabularies, var texts]:
        return TokenizerTable.Print(Console.Out, vocabularies, texts) ? 0 : 2;
    case ["grammars", var directory, var schemas, ..]:
        GrammarTable.Print(Console.Out, directory, schemas, Number(args, 3, int.MaxValue));
        return 0;
    case ["quantized-gemm", ..]:
        QuantizedTable.PrintProducts(Console.Out, Number(args, 1, 20), Number(args, 2, Environment.ProcessorCount));
        return 0;
    case ["near-ties", var directory, var format, ..]:
        await NearTies.PrintAsync(
            Console.Out,
            directory,
            new() { Format = Enum.Parse<QuantizedFormat>(format, ignoreCase: true), Head = Enum.Parse<HeadQuantization>(Word(args, 3, "auto"), ignoreCase: true), CacheDirectory = "none" },
            Number(args, 4, 4));
        return 0;
    case ["quantized", var directory, ..]:
        await QuantizedTable.PrintRatesAsync(Console.Out, directory, Word(args, 2, "int8"), Word(args, 3, "auto"), Word(args, 4, "auto"), Word(args, 5, "none"));
        return 0;
    default:
        // In this process: a generated project would be built under this repository's rules, and load libtorch once more.
        string[] all = [.. args, "--inProcess"];
        return BenchmarkSwitcher.FromAssembly(typeof(DramBandwidth).Assembly).Run(all).Any() ? 0 : 1;
}

static int Number(string[] args, int index, int fallback) =>
    args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : fallback;

static string Word(string[] args, int index, string fallback) => args.Length > index ? args[index] : fallback;
