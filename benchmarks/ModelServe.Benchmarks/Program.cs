using BenchmarkDotNet.Running;
using ModelServe.Benchmarks;

// "dram" and "gemm" print a table and need no harness; everything else goes to BenchmarkDotNet.
switch (args)
{
    case ["dram", ..]:
        DramBandwidth.Print(Console.Out);
        return 0;
    case ["gemm", ..]:
        GemmTable.Print(Console.Out, args.Length > 1 ? int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture) : 20);
        return 0;
    default:
        return BenchmarkSwitcher.FromAssembly(typeof(DramBandwidth).Assembly).Run(args).Any() ? 0 : 1;
}
