using System.Runtime.Versioning;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Native;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Quantization;

/// <summary>Quantised weights from the cache are those that were kept; damaged, foreign and unsafe ones are not taken.</summary>
[SupportedOSPlatform("linux")]
public sealed class WeightCacheTests : IDisposable
{
    private static readonly TinyModel Model = TinyModel.Qwen3;
    private readonly RandomCheckpoint _checkpoint = new(Model, type: "BF16");
    private readonly TemporaryFolder _folder = new();

    private string Cache => Path.Combine(_folder.Path, "kept");

    [Theory]
    [InlineData(QuantizedFormat.Int8, HeadQuantization.Auto)]
    [InlineData(QuantizedFormat.Int4, HeadQuantization.None)]
    public void A_second_start_takes_the_weights_from_the_cache_and_computes_the_same(QuantizedFormat format, HeadQuantization head)
    {
        var first = Tokens(format, head, out var made);
        Assert.Contains(made, note => note.Contains("quantised on load", StringComparison.Ordinal));
        var second = Tokens(format, head, out var taken);
        Assert.Contains(taken, note => note.Contains("from the cache", StringComparison.Ordinal));
        Assert.Equal(first, second);
        Assert.Single(Directory.GetFiles(Cache));
    }

    [Fact]
    public void Folder_and_entries_are_their_owner_s_alone()
    {
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Cache));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Entry()));
    }

    [Fact]
    public void Another_format_is_another_entry()
    {
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        Tokens(QuantizedFormat.Int4, HeadQuantization.Auto, out var notes);
        Assert.Contains(notes, note => note.Contains("on load", StringComparison.Ordinal));
        Assert.Equal(2, Directory.GetFiles(Cache).Length);
    }

    [Theory]
    [InlineData(0.99)]
    [InlineData(0.5)]
    [InlineData(0.02)]
    [InlineData(0)]
    public void A_changed_byte_is_found_and_the_weights_are_made_again(double place)
    {
        var expected = Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        var bytes = File.ReadAllBytes(Entry());
        bytes[(int)(place * (bytes.Length - 1))] ^= 1;
        File.WriteAllBytes(Entry(), bytes);
        Assert.Equal(expected, Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out var notes));
        Assert.Contains(notes, note => note.Contains("damaged", StringComparison.Ordinal));
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out notes);
        Assert.Contains(notes, note => note.Contains("from the cache", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0.7)]
    [InlineData(0.01)]
    [InlineData(0)]
    public void A_shortened_entry_is_found_and_the_weights_are_made_again(double share)
    {
        var expected = Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        var bytes = File.ReadAllBytes(Entry());
        File.WriteAllBytes(Entry(), bytes[..(int)(share * bytes.Length)]);
        Assert.Equal(expected, Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out var notes));
        Assert.Contains(notes, note => note.Contains("damaged", StringComparison.Ordinal));
    }

    [Fact]
    public void What_a_killed_process_left_is_written_over()
    {
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        var entry = Entry();
        File.Delete(entry);
        File.WriteAllText(entry + ".unfinished", new string('x', 1 << 20));
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out var notes);
        Assert.Contains(notes, note => note.Contains("from the cache", StringComparison.Ordinal));
        Assert.Single(Directory.GetFiles(Cache));
    }

    [Fact]
    public void An_entry_that_another_process_is_writing_is_left_to_it()
    {
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        var entry = Entry();
        File.Delete(entry);
        using var other = new FileStream(entry + ".unfinished", FileMode.Create, FileAccess.Write, FileShare.None);
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out var notes);
        Assert.Contains(notes, note => note.Contains("could not be kept", StringComparison.Ordinal));
        Assert.False(File.Exists(entry));
    }

    [Fact]
    public void Weights_changed_in_place_are_not_taken_for_the_old_ones()
    {
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out _);
        var file = Path.Combine(_checkpoint.Folder, "model.safetensors");
        var written = File.GetLastWriteTimeUtc(file);
        using (var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite))
        {
            // Far from any sampled piece or not: the system's own time of change tells.
            stream.Position = stream.Length - 999;
            stream.WriteByte(0x3F);
        }

        File.SetLastWriteTimeUtc(file, written);
        Tokens(QuantizedFormat.Int8, HeadQuantization.Auto, out var notes);
        Assert.Contains(notes, note => note.Contains("on load", StringComparison.Ordinal));
    }

    [Fact]
    public void Tensors_that_were_stored_more_widely_come_back_so()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var values = checkpoint.Weights["model.layers.0.self_attn.o_proj.weight"];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = i % 64 == 0 ? 1 : 0.05f;
        }

        SafetensorsWriter.Write(
            Path.Combine(checkpoint.Folder, "model.safetensors"),
            TinyModel.Llama.Tensors().Select(tensor => (tensor.Name, tensor.Shape, checkpoint.Weights[tensor.Name])),
            "F32");
        var options = QuantizedLoadingTests.Options(QuantizedFormat.Int4, cache: Cache);
        using var first = ModelLoader.Load(checkpoint.Folder, options, null);
        using var second = ModelLoader.Load(checkpoint.Folder, options, null);
        Assert.Contains(second.Notes, note => note.Contains("from the cache", StringComparison.Ordinal) && note.Contains("1 stored more widely", StringComparison.Ordinal));
        Assert.Equal(first.Plan.WeightBytes, second.Plan.WeightBytes);
        Assert.Equal(Tokens(first), Tokens(second));
    }

    [Fact]
    public void None_keeps_nothing()
    {
        using var loaded = ModelLoader.Load(_checkpoint.Folder, QuantizedLoadingTests.Options(QuantizedFormat.Int8, cache: "none"), null);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        Assert.DoesNotContain(Directory.GetFiles(_checkpoint.Folder), file => file.Contains("weights", StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_that_others_may_write_is_refused()
    {
        Directory.CreateDirectory(Cache);
        File.SetUnixFileMode(Cache, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);
        Refused(Cache, "only its owner may write", "0702");
    }

    [Fact]
    public void A_link_to_a_folder_is_refused()
    {
        var real = Directory.CreateDirectory(Path.Combine(_folder.Path, "real")).FullName;
        Directory.CreateSymbolicLink(Cache, real);
        Refused(Cache, "not a link");
    }

    [Fact]
    public void A_file_is_refused()
    {
        File.WriteAllText(Cache, "");
        Refused(Cache, "cache-dir", "can be made");
    }

    [Fact]
    public void A_folder_in_the_checkpoint_is_refused()
    {
        Refused(Path.Combine(_checkpoint.Folder, "cache"), "outside the checkpoint");
        Refused(_checkpoint.Folder + "/", "outside the checkpoint");
        Assert.False(Directory.Exists(Path.Combine(_checkpoint.Folder, "cache")));
    }

    [Fact]
    public void Another_user_s_folder_is_refused()
    {
        Directory.CreateDirectory(Cache);
        var own = FileStatus.Of(Cache, follow: false)!;
        Assert.True(own.IsOwn);
        Assert.Contains("not of user", CacheFolder.Refusal(own with { Owner = own.Owner + 1 }), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _checkpoint.Dispose();
        _folder.Dispose();
    }

    private static List<int> Tokens(LoadedModel loaded)
    {
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, ForwardPassTests.Prompt(Model, 11));
        return driver.Generate(0, 12);
    }

    private List<int> Tokens(QuantizedFormat format, HeadQuantization head, out IReadOnlyList<string> notes)
    {
        using var loaded = ModelLoader.Load(_checkpoint.Folder, QuantizedLoadingTests.Options(format, head, Cache), null);
        notes = loaded.Notes;
        return Tokens(loaded);
    }

    private string Entry() => Assert.Single(Directory.GetFiles(Cache, "*.weights"));

    private void Refused(string cache, params string[] parts)
    {
        var refusal = Assert.Throws<ModelLoadException>(
            () => ModelLoader.Load(_checkpoint.Folder, QuantizedLoadingTests.Options(QuantizedFormat.Int8, cache: cache), null));
        Assert.All(parts, part => Assert.Contains(part, refusal.Message, StringComparison.Ordinal));
    }
}
