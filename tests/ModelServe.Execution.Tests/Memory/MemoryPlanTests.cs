using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Memory;

/// <summary>The plan adds up, and what cannot be is refused with its numbers.</summary>
public sealed class MemoryPlanTests
{
    private static readonly ModelLoadOptions Options = new() { MaxSequences = 4, MaxBatchedTokens = 32, MemoryBytes = 64 << 20 };

    [Fact]
    public void Everything_asked_for_fits_a_large_budget()
    {
        var plan = Plan(Options);
        Assert.Equal(256, plan.Geometry.MaxModelLength);
        Assert.Equal((4 * 16) + 1, plan.Geometry.BlockCount);

        // 2 layers × (key + value) × 2 heads × 16 elements × 4 bytes × 16 tokens
        Assert.Equal(2 * 2 * 2 * 16 * 4 * 16, plan.BlockBytes);
        Assert.True(plan.TotalBytes <= plan.BudgetBytes);
    }

    [Fact]
    public void Key_value_memory_bounds_the_blocks() =>
        Assert.Equal(20, Plan(Options with { KvMemoryBytes = 20 * 8192 }).Geometry.BlockCount);

    [Fact]
    public void A_length_that_nobody_asked_for_gives_way_to_the_memory() =>
        Assert.Equal(9 * 16, Plan(Options with { KvMemoryBytes = 10 * 8192 }).Geometry.MaxModelLength);

    [Fact]
    public void A_length_that_was_asked_for_is_kept_or_refused_with_its_numbers()
    {
        Assert.Equal(100, Plan(Options with { KvMemoryBytes = 8 * 8192, MaxModelLength = 100 }).Geometry.MaxModelLength);
        Refused(Options with { KvMemoryBytes = 7 * 8192, MaxModelLength = 100 }, "kv-memory", "8 blocks", "100 tokens", "7 blocks");
    }

    [Fact]
    public void A_block_of_bytes_takes_a_byte_an_element_and_a_scale_for_each_token_and_head()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama, type: "BF16");
        var plain = ModelLoader.Inspect(checkpoint.Folder, Options).Plan;
        var narrow = ModelLoader.Inspect(checkpoint.Folder, Options with { KeyValueFormat = KeyValueFormat.Int8 }).Plan;
        var attention = ModelLoader.Inspect(checkpoint.Folder, Options).Config.Attention;
        Assert.Equal(plain.BlockBytes / 2 * (attention.HeadDim + sizeof(float)) / attention.HeadDim, narrow.BlockBytes);
    }

    [Fact]
    public void Not_even_one_block_is_refused() => Refused(Options with { KvMemoryBytes = 8192 }, "kv-memory");

    [Fact]
    public void A_model_beyond_the_budget_is_refused_with_its_numbers() =>
        Refused(Options with { MemoryBytes = 100_000 }, "memory: at most 0.1 MiB", "weights 0.3 MiB");

    [Theory]
    [InlineData(0, 32, null, "max-running")]
    [InlineData(4, 3, null, "max-batched-tokens: 4..")]
    [InlineData(4, 32, 0, "max-model-len: 1..256; got 0")]
    [InlineData(4, 32, 257, "max-model-len: 1..256; got 257")]
    public void An_option_out_of_range_is_named(int sequences, int tokens, int? length, string part) =>
        Refused(Options with { MaxSequences = sequences, MaxBatchedTokens = tokens, MaxModelLength = length }, part);

    [Fact]
    public void The_table_names_every_part()
    {
        var table = Plan(Options).ToTable();
        foreach (var part in new[] { "weights", "rotary tables", "activations", "key-value blocks", "total", "float32", "65 blocks" })
        {
            Assert.Contains(part, table, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Bfloat16_halves_matrices_and_blocks()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var (_, wide) = ModelLoader.Inspect(checkpoint.Folder, Options);
        var (_, narrow) = ModelLoader.Inspect(checkpoint.Folder, Options with { Format = WeightFormat.BFloat16 });
        Assert.Equal(wide.BlockBytes, 2 * narrow.BlockBytes);
        Assert.InRange(narrow.WeightBytes, wide.WeightBytes / 2, wide.WeightBytes * 51 / 100);
    }

    [Fact]
    public void A_device_without_kernels_is_refused_by_name()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var refusal = Assert.Throws<ModelLoadException>(() => ModelLoader.Load(checkpoint.Folder, Options with { Device = "cuda:0" }, null));
        Assert.Contains("cuda", refusal.Message, StringComparison.OrdinalIgnoreCase);
    }

    private static MemoryPlan Plan(ModelLoadOptions options)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        return ModelLoader.Inspect(checkpoint.Folder, options).Plan;
    }

    private static void Refused(ModelLoadOptions options, params string[] parts)
    {
        var refusal = Assert.Throws<MemoryPlanException>(() => Plan(options));
        Assert.All(parts, part => Assert.Contains(part, refusal.Message, StringComparison.Ordinal));
    }
}
