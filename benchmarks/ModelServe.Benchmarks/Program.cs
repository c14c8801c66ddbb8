using BenchmarkDotNet.Running;
using ModelServe.Benchmarks;

// "dram" and "gemm" print a table and need no harness; everything else goes to BenchmarkDotNet.
switch (args)
{
    case ["dram", ..]:
        DramBandwidth.Print(Console.Out);
        return 0;
    case ["gemm", ..]:
        GemmTable.Print(Console.Out, Number(args, 1, 20), Number(args, 2, Environment.ProcessorCount));
        return 0;
    default:
        // In this process: a generated project would be built under this repository's rules, and load libtorch once more.
        string[] all = [.. args, "--inProcess"];
        return BenchmarkSwitcher.FromAssembly(typeof(DramBandwidth).Assembly).Run(all).Any() ? 0 : 1;
}

static int Number(string[] args, int index, int fallback) =>
    args.Length > index ? int.Parse(args[index], System.Globalization.CultureInfo.InvariantCulture) : fallback;
