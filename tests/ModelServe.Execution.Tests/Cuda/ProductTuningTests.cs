using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Products chosen by measuring, and the file that keeps the choices for the next start.</summary>
public sealed class ProductTuningTests(StubLibrary stub) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string CacheFolder => Path.Combine(_folder.Path, "cache");

    [Fact]
    public void The_second_start_measures_nothing_and_gives_the_same_tokens()
    {
        using var checkpoint = Model();
        var first = Start(checkpoint, out var firstNotes);
        var second = Start(checkpoint, out var secondNotes);
        Assert.Matches("^products: [1-9][0-9]* measured, 0 known", firstNotes[^1]);
        Assert.Matches("^products: 0 measured, [1-9][0-9]* known", secondNotes[^1]);
        Assert.Equal(first, second);
        Assert.Single(Directory.GetFiles(CacheFolder));
    }

    [Fact]
    public void A_model_that_shares_some_shapes_measures_the_others_only()
    {
        using var checkpoint = Model();
        using var wider = new RandomCheckpoint(CudaModels.All["llama"] with { Intermediate = 160 }, type: "BF16");
        Start(checkpoint, out _);
        Start(wider, out var notes);
        Assert.Matches("^products: [1-9][0-9]* measured, [1-9][0-9]* known", notes[^1]);
    }

    [Fact]
    public void Two_models_that_measure_at_once_keep_both()
    {
        stub.SkipIfMissing();
        using var device = new KernelDevice(0);
        var info = device.Info();
        var one = TuningCache.Open(CacheFolder, _folder.Path + "/model", info, Assert.Fail)!;
        var other = TuningCache.Open(CacheFolder, _folder.Path + "/model", info, Assert.Fail)!;
        var shape = new ProductShape(ProductRole.Added, 64, 96, ElementType.BFloat16, ElementType.BFloat16, false);
        one.Put(shape, 1, new ProductChoice(ProductForm.Narrow, null, 2.5f));
        other.Put(shape with { HasBias = true }, 9, new ProductChoice(ProductForm.Wide, [.. Enumerable.Range(0, 64).Select(i => (byte)(3 * i))], 1));
        one.Save();
        other.Save();
        var read = TuningCache.Open(CacheFolder, _folder.Path + "/model", info, Assert.Fail)!;
        Assert.Equal(new ProductChoice(ProductForm.Narrow, null, 2.5f), read.Find(shape, 1));
        Assert.Equal(189, read.Find(shape with { HasBias = true }, 9)!.Algorithm![63]);
        Assert.Null(read.Find(shape, 2));
    }

    [Theory]
    [InlineData("cut")]
    [InlineData("other device")]
    [InlineData("no number")]
    [InlineData("empty")]
    public void A_file_that_is_not_what_was_written_counts_for_nothing(string damage)
    {
        using var checkpoint = Model();
        Start(checkpoint, out var fresh);
        var path = Assert.Single(Directory.GetFiles(CacheFolder));
        var text = File.ReadAllText(path);
        File.WriteAllText(path, damage switch
        {
            "cut" => text[..(text.Length / 2)],
            "other device" => text.Replace("CPU stub", "CPU stab", StringComparison.Ordinal),
            "no number" => text.Replace(" 64 ", " sixty-four ", StringComparison.Ordinal),
            _ => "",
        });
        Start(checkpoint, out var notes);
        Assert.Contains(notes, note => note.Contains("products are measured anew", StringComparison.Ordinal));
        Assert.Equal(fresh[^1].Split(',')[0], notes[^1].Split(',')[0]);
        Assert.Equal(text.Length, File.ReadAllText(path).Length);
    }

    [Fact]
    public void An_algorithm_that_the_library_refuses_is_measured_anew()
    {
        using var checkpoint = Model();
        Start(checkpoint, out _);
        var path = Assert.Single(Directory.GetFiles(CacheFolder));
        var lines = File.ReadAllLines(path);
        var wide = Array.FindLastIndex(lines, line => line.Contains(" Wide ", StringComparison.Ordinal));
        lines[wide] = lines[wide][..^4] + "ffff";
        File.WriteAllLines(path, lines);
        Start(checkpoint, out var notes);
        Assert.Matches("^products: 1 measured, [1-9][0-9]* known", notes[^1]);
    }

    [Fact]
    public void A_folder_that_others_may_write_is_refused_when_it_was_asked_for()
    {
        using var checkpoint = Model();
        Directory.CreateDirectory(CacheFolder);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(CacheFolder, (UnixFileMode)0x1FF);
        }

        var refusal = Assert.ThrowsAny<ModelLoadException>(() => Start(checkpoint, out _));
        Assert.Contains("only its owner may write", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_folder_every_start_measures()
    {
        using var checkpoint = Model();
        var options = Options() with { CacheDirectory = WeightQuantization.NoCache };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        Assert.Matches("^products: [1-9][0-9]* measured, 0 known", loaded.Notes[^1]);
        Assert.True(StubFaults.Tunings(((CudaStepExecutor)loaded.Executor).Device) > 0);
    }

    [Fact]
    public void A_stand_in_of_a_device_is_not_measured_unless_asked()
    {
        using var checkpoint = Model();
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options() with { TuneProducts = null }, null);
        Assert.Equal(0, StubFaults.Tunings(((CudaStepExecutor)loaded.Executor).Device));
    }

    [Fact]
    public void Weights_of_fp8_are_measured_with_their_own_types()
    {
        using var checkpoint = Model();
        var options = Options() with { Quantization = new WeightQuantization { Format = QuantizedFormat.Float8 } };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        var lines = File.ReadAllLines(Assert.Single(Directory.GetFiles(CacheFolder)));
        Assert.Contains(lines, line => line.StartsWith("Gated 192 64 Float8 BFloat16 ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("Normed 199 64 BFloat16 Float32 ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(8, 0)]
    [InlineData(9, 1)]
    [InlineData(64, 3)]
    [InlineData(65, 4)]
    [InlineData(8192, 10)]
    public void Row_counts_fall_into_buckets_by_doubling(int rows, int bucket)
    {
        Assert.Equal(bucket, ProductShape.Bucket(rows));
        Assert.InRange(rows, bucket == 0 ? 1 : (ProductShape.RowsOf(bucket) / 2) + 1, ProductShape.RowsOf(bucket));
    }

    [Theory]
    [InlineData(64, true, 16, "Fused")]
    [InlineData(64, true, 17, "Narrow")]
    [InlineData(64, true, 65, "Wide")]
    [InlineData(64, false, 65, "Narrow")] // without cuBLASLt: block after block
    [InlineData(40, true, 1, "Wide")] // no multiple of 32
    public void Without_a_measurement_few_rows_are_fused(int columns, bool hasWide, int rows, string form)
    {
        var shape = new ProductShape(ProductRole.Normed, 48, columns, ElementType.BFloat16, ElementType.BFloat16, false);
        Assert.Equal(form, ProductChoice.Default(shape, ProductShape.Bucket(rows), hasWide).Form.ToString());
    }

    public void Dispose() => _folder.Dispose();

    private static RandomCheckpoint Model() => new(CudaModels.All["llama"], type: "BF16");

    private ModelLoadOptions Options() =>
        CudaModels.Options(stub) with { TuneProducts = true, CacheDirectory = CacheFolder, MaxBatchedTokens = 96 };

    private List<int> Start(RandomCheckpoint checkpoint, out IReadOnlyList<string> notes)
    {
        stub.SkipIfMissing();
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(), null);
        notes = loaded.Notes;
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, ForwardPassTests.Prompt(checkpoint.Model, 80));
        return driver.Generate(0, 8);
    }
}
