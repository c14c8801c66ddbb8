namespace ModelServe.Execution.Quantization;

/// <summary>Keeps the entries of a cache folder within a number of bytes: those used longest ago go first.</summary>
/// <remarks>
/// An entry's time of modification says when it was used last. Processes may do this at once and beside readers: an entry that a process
/// has open stays readable to it, one that is gone counts as missing, and whoever writes counts again afterwards. What a killed
/// process left unfinished goes too; what another one is writing is locked and stays.
/// </remarks>
internal static class CacheBudget
{
    /// <summary>How the names of entries end.</summary>
    public const string Entry = ".weights";

    /// <summary>How the names of entries end while they are written.</summary>
    public const string Unfinished = Entry + ".unfinished";

    /// <summary>Makes room for an entry.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="most">Bytes that all entries may take.</param>
    /// <param name="path">The entry: it is not counted, and never deleted.</param>
    /// <param name="bytes">Bytes that it takes.</param>
    /// <param name="note">Hears of each entry that went.</param>
    /// <returns>False if it does not fit beside nothing; then nothing was deleted.</returns>
    /// <exception cref="IOException">The folder cannot be read or an entry not be deleted.</exception>
    public static bool TryMakeRoom(string folder, long most, string path, long bytes, Action<string> note)
    {
        if (bytes > most)
        {
            return false;
        }

        var total = bytes;
        var entries = new List<(string Path, long Bytes, DateTime Used)>();
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles())
        {
            if (file.FullName == path || file.FullName == path + (Unfinished[Entry.Length..]))
            {
                continue;
            }

            if (file.Name.EndsWith(Unfinished, StringComparison.Ordinal))
            {
                DeleteAbandoned(file.FullName);
            }
            else if (file.Name.EndsWith(Entry, StringComparison.Ordinal) && TryMeasure(file, out var length, out var used))
            {
                entries.Add((file.FullName, length, used));
                total += length;
            }
        }

        foreach (var entry in entries.OrderBy(entry => entry.Used).ThenBy(entry => entry.Path, StringComparer.Ordinal))
        {
            if (total <= most)
            {
                break;
            }

            File.Delete(entry.Path);
            total -= entry.Bytes;
            note($"cache-max: {Path.GetFileName(entry.Path)}, {entry.Bytes} bytes, made room: all entries may take {most}");
        }

        return true;
    }

    // Another process may have deleted it meanwhile.
    private static bool TryMeasure(FileInfo file, out long bytes, out DateTime used)
    {
        try
        {
            (bytes, used) = (file.Length, file.LastWriteTimeUtc);
            return true;
        }
        catch (FileNotFoundException)
        {
            (bytes, used) = (0, default);
            return false;
        }
    }

    private static void DeleteAbandoned(string path)
    {
        try
        {
            // Who writes it has it locked.
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            File.Delete(path);
        }
        catch (IOException)
        {
            // In use, or gone.
        }
    }
}
