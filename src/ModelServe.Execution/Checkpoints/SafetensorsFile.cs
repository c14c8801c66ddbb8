using Microsoft.Win32.SafeHandles;
using ModelServe.Execution.Native;

namespace ModelServe.Execution.Checkpoints;

/// <summary>One open safetensors file, whose header has been checked against the file.</summary>
/// <remarks>
/// Tensors are read, not mapped: a mapping keeps its pages in the process until it is closed, so that loading would hold the
/// checkpoint twice. Thread-safe.
/// </remarks>
internal sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle _file;

    private SafetensorsFile(string name, SafeFileHandle file, IReadOnlyList<StoredTensor> tensors)
    {
        Name = name;
        _file = file;
        Tensors = tensors;
    }

    /// <summary>File name without its folder, for messages.</summary>
    public string Name { get; }

    /// <summary>Its tensors in the order of their bytes.</summary>
    public IReadOnlyList<StoredTensor> Tensors { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="CheckpointException">The file is missing, unreadable, or breaks a rule of the format.</exception>
    public static SafetensorsFile Open(string path)
    {
        var name = Path.GetFileName(path);
        SafeFileHandle? file = null;
        try
        {
            if (OperatingSystem.IsLinux() && FileStatus.Of(path, follow: true) is { IsFile: false })
            {
                // Opening a pipe would wait for somebody who writes to it.
                throw new CheckpointException($"{name}: a plain file; got a folder, a pipe or a device");
            }

            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.SequentialScan);
            var opened = new SafetensorsFile(name, file, SafetensorsHeader.Read(file, name));
            file = null;
            return opened;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{name}: a readable file; got {exception.Message}", exception);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <summary>Reads bytes [<paramref name="start"/>, start + destination.Length) of a tensor.</summary>
    /// <exception cref="CheckpointException">The file ended early or cannot be read.</exception>
    public void Read(StoredTensor tensor, long start, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + destination.Length, tensor.Bytes);
        try
        {
            while (destination.Length > 0)
            {
                var count = RandomAccess.Read(_file, destination, tensor.Offset + start);
                if (count == 0)
                {
                    throw new CheckpointException(Name, tensor.Name, $"{tensor.Bytes} bytes", $"{start} bytes before the file's end");
                }

                destination = destination[count..];
                start += count;
            }
        }
        catch (IOException exception)
        {
            throw new CheckpointException($"{Name}: {tensor.Name}: readable bytes; got {exception.Message}", exception);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _file.Dispose();
}
