using System.Text.Json;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Quantization;

/// <summary>The quantised weights of one checkpoint, as an earlier start left them or this one will.</summary>
/// <remarks>An entry that is damaged is deleted and counts as missing. What goes wrong with the cache never keeps a model from loading: it is noted.</remarks>
internal sealed class WeightCache
{
    private const UnixFileMode OwnerReadsAndWrites = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly string _path;
    private readonly string _key;
    private readonly Action<string> _note;
    private readonly string _folder;
    private readonly long _mostBytes;

    /// <summary>A cache in a folder that <see cref="CacheFolder"/> has checked, all of whose entries may take so many bytes.</summary>
    public WeightCache(string folder, string key, long mostBytes, Action<string> note)
    {
        _folder = folder;
        _mostBytes = mostBytes;
        _key = key;
        _note = note;
        _path = Path.Combine(folder, key + CacheBudget.Entry);
    }

    /// <summary>Fills memory from the entry.</summary>
    /// <param name="prepare">Makes the memory for what was decided when the entry was made; it must be as long as the entry.</param>
    /// <param name="threads">Threads that read and check.</param>
    /// <param name="meter">Counts what was read.</param>
    /// <returns>What the quantised tensors lost; null if there is no sound entry.</returns>
    public IReadOnlyList<TensorLoss>? TryRead(
        Func<IReadOnlyDictionary<string, QuantizedFormat?>, NativeBuffer> prepare, int threads, Func<long, LoadMeter> meter)
    {
        try
        {
            using var file = File.OpenHandle(_path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.SequentialScan);
            if (WeightCacheFile.ReadHeader(file, _key) is { } header)
            {
                var memory = prepare(header.Kept);
                if (memory.Bytes == header.Bytes && WeightCacheFile.ReadData(file, header, memory, threads, meter(header.Bytes)))
                {
                    MarkUsed();
                    return header.Losses;
                }
            }
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            _note($"cache entry {_path} cannot be read ({exception.Message}); the weights are quantised again");
            return null;
        }

        _note($"cache entry {_path} is damaged; the weights are quantised again");
        Delete(_path);
        return null;
    }

    /// <summary>Writes the entry, unless another process is doing so.</summary>
    public void Write(NativeBuffer memory, IReadOnlyDictionary<string, QuantizedFormat?> kept, IReadOnlyList<TensorLoss> losses, int threads)
    {
        // Always the same name, and locked: what a killed process left is written over, and two do not write at once.
        var unfinished = Path.Combine(_folder, _key + CacheBudget.Unfinished);
        try
        {
            if (!CacheBudget.TryMakeRoom(_folder, _mostBytes, _path, memory.Bytes, _note))
            {
                _note($"the quantised weights are not kept: cache-max is {_mostBytes} bytes; got {memory.Bytes}");
                return;
            }

            var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, Share = FileShare.None, BufferSize = 0 };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = OwnerReadsAndWrites;
            }

            using var file = new FileStream(unfinished, options);
            try
            {
                file.SetLength(0);
                WeightCacheFile.Write(file.SafeFileHandle, new WeightCacheHeader(_key, memory.Bytes, [], kept, losses), memory, threads);
                File.Move(unfinished, _path, overwrite: true);

                // Another process may have written meanwhile.
                CacheBudget.TryMakeRoom(_folder, _mostBytes, _path, memory.Bytes, _note);
            }
            catch (Exception exception) when (IsNoRoom(exception))
            {
                // A full disk gets its space back.
                File.Delete(unfinished);
                throw;
            }
        }
        catch (Exception exception) when (IsNoRoom(exception) || exception is UnauthorizedAccessException)
        {
            _note($"the quantised weights could not be kept: {exception.Message}");
        }
    }

    // A file that is longer than the system lets it become is not an IOException to the framework.
    private static bool IsNoRoom(Exception exception) => exception is IOException or ArgumentOutOfRangeException;

    private void MarkUsed()
    {
        try
        {
            File.SetLastWriteTimeUtc(_path, TimeProvider.System.GetUtcNow().UtcDateTime);
        }
        catch (FileNotFoundException)
        {
            // Another process made room; what was read is sound all the same.
        }
    }

    private void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _note($"{path} could not be deleted: {exception.Message}");
        }
    }
}
