using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Quantization;

/// <summary>The cache folder stays within its bytes, and loses what was used longest ago.</summary>
public sealed class CacheBudgetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _notes = [];

    [Fact]
    public void Entries_used_longest_ago_go_until_the_new_one_fits()
    {
        var (old, older, recent) = (Entry("a", 100, 2), Entry("b", 100, 1), Entry("c", 100, 3));
        Assert.True(MakeRoom(250, 90));
        Assert.False(File.Exists(older));
        Assert.False(File.Exists(old));
        Assert.True(File.Exists(recent));
        Assert.Equal(2, _notes.Count);
    }

    [Fact]
    public void Nothing_goes_where_there_is_room()
    {
        Entry("a", 100, 1);
        Entry("b", 100, 2);
        Assert.True(MakeRoom(300, 100));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
        Assert.Empty(_notes);
    }

    [Fact]
    public void An_entry_that_does_not_fit_beside_nothing_costs_no_other()
    {
        Entry("a", 100, 1);
        Assert.False(MakeRoom(99, 100));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void The_entry_itself_and_foreign_files_stay()
    {
        var own = Entry("new", 100, 1);
        var foreign = Path.Combine(_folder.Path, "products-x.txt");
        File.WriteAllBytes(foreign, new byte[500]);
        Assert.True(MakeRoom(100, 100));
        Assert.True(File.Exists(own));
        Assert.True(File.Exists(foreign));
    }

    [Fact]
    public void What_a_killed_process_left_goes_and_what_another_writes_stays()
    {
        var abandoned = Path.Combine(_folder.Path, "x" + CacheBudget.Unfinished);
        File.WriteAllBytes(abandoned, new byte[10]);
        var busy = Path.Combine(_folder.Path, "y" + CacheBudget.Unfinished);
        using var writing = new FileStream(busy, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        Assert.True(MakeRoom(100, 100));
        Assert.False(File.Exists(abandoned));
        Assert.True(File.Exists(busy));
    }

    [Fact]
    public void A_start_that_takes_its_weights_from_the_cache_keeps_them_from_going_next()
    {
        using var first = new RandomCheckpoint(TinyModel.Llama, seed: 1);
        using var second = new RandomCheckpoint(TinyModel.Llama, seed: 2);
        using var third = new RandomCheckpoint(TinyModel.Llama, seed: 3);
        Load(first, long.MaxValue);
        var kept = Directory.GetFiles(_folder.Path).Single();
        var bytes = new FileInfo(kept).Length;
        Load(second, long.MaxValue);
        var other = Directory.GetFiles(_folder.Path).Single(path => path != kept);
        File.SetLastWriteTimeUtc(kept, DateTime.UnixEpoch);
        File.SetLastWriteTimeUtc(other, DateTime.UnixEpoch.AddDays(1));
        Load(first, long.MaxValue);
        Load(third, (2 * bytes) + 4096);
        Assert.True(File.Exists(kept));
        Assert.False(File.Exists(other));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public void Weights_larger_than_the_limit_are_used_and_not_kept()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        using var loaded = Load(checkpoint, 1000);
        Assert.Contains(loaded.Notes, note => note.Contains("cache-max is 1000 bytes", StringComparison.Ordinal));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    /// <inheritdoc />
    public void Dispose() => _folder.Dispose();

    private bool MakeRoom(long most, long bytes) =>
        CacheBudget.TryMakeRoom(_folder.Path, most, Path.Combine(_folder.Path, "new" + CacheBudget.Entry), bytes, _notes.Add);

    private string Entry(string name, int bytes, int day)
    {
        var path = Path.Combine(_folder.Path, name + CacheBudget.Entry);
        File.WriteAllBytes(path, new byte[bytes]);
        File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch.AddDays(day));
        return path;
    }

    private LoadedModel Load(RandomCheckpoint checkpoint, long most)
    {
        if (OperatingSystem.IsLinux())
        {
            File.SetUnixFileMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var loaded = ModelLoader.Load(
            checkpoint.Folder,
            new ModelLoadOptions
            {
                KvMemoryBytes = 8 << 20,
                Quantization = new WeightQuantization { Format = QuantizedFormat.Int8, CacheDirectory = _folder.Path, CacheBytes = most },
            },
            null);
        loaded.Dispose();
        return loaded;
    }
}
