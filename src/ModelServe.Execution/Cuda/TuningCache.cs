using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cuda;

/// <summary>Keeps on disk how products are made best, so that only the first start on a device measures.</summary>
/// <remarks>
/// One file for each device, driver, cuBLASLt and version of the kernels: when one of them changes, nothing of the old file is used.
/// Lines of text; a file with a line that is not understood counts for nothing. It is written under another name and renamed. What it
/// says is tried before it is used (<see cref="ProductTuner"/>), because an algorithm is opaque to everyone but cuBLASLt.
/// </remarks>
internal sealed class TuningCache
{
    /// <summary>Raised whenever the lines or the kernels that they choose between change.</summary>
    private const int Version = 1;

    private const long MostBytes = 16 << 20;
    private readonly string _path;
    private readonly string _key;
    private readonly Action<string> _note;
    private readonly Dictionary<(ProductShape Shape, int Bucket), ProductChoice> _choices = [];

    private TuningCache(string path, string key, Action<string> note)
    {
        (_path, _key, _note) = (path, key, note);
    }

    /// <summary>The file for a device in that folder; empty if there is none.</summary>
    /// <param name="asked">The folder; null takes the default one, <see cref="WeightQuantization.NoCache"/> none.</param>
    /// <param name="checkpoint">The checkpoint's folder, in which nothing is kept.</param>
    /// <param name="device">The device.</param>
    /// <param name="note">Told what an operator should know.</param>
    /// <returns>Null when nothing is to be kept, or nothing can be and nobody named a folder.</returns>
    /// <exception cref="ModelLoadException">The folder that was asked for cannot be used.</exception>
    public static TuningCache? Open(string? asked, string checkpoint, in DeviceInfo device, Action<string> note)
    {
        if (asked == WeightQuantization.NoCache)
        {
            return null;
        }

        try
        {
            var key = Key(device);
            var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..32];
            var cache = new TuningCache(Path.Combine(CacheFolder.Open(asked, checkpoint), $"products-{name}.txt"), key, note);
            cache.Read();
            return cache;
        }
        catch (ModelLoadException exception) when (asked is null)
        {
            // A folder that nobody asked for keeps nobody from starting.
            note($"measured products are not kept: {exception.Message}");
            return null;
        }
    }

    /// <summary>What the file says of a product; null for nothing.</summary>
    public ProductChoice? Find(ProductShape shape, int bucket) => _choices.GetValueOrDefault((shape, bucket));

    /// <summary>Adds or replaces what is said of a product.</summary>
    public void Put(ProductShape shape, int bucket, ProductChoice choice) => _choices[(shape, bucket)] = choice;

    /// <summary>Writes the file; what keeps it from being written is noted, and is no error.</summary>
    public void Save()
    {
        // What another model on the device has measured meanwhile stays.
        var own = _choices.ToArray();
        Read();
        foreach (var (product, choice) in own)
        {
            _choices[product] = choice;
        }

        var text = new StringBuilder(_key).Append('\n');
        foreach (var ((shape, bucket), choice) in _choices.OrderBy(pair => pair.Key.ToString(), StringComparer.Ordinal))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{shape.Role} {shape.Features} {shape.Columns} {shape.Type} {shape.Result} {shape.HasBias} {bucket} {choice.Form} {choice.Microseconds:R} {(choice.Algorithm is { } algorithm ? Convert.ToHexStringLower(algorithm) : "-")}\n");
        }

        // Copies of a model on several devices of one kind are loaded at once, a thread each.
        var temporary = $"{_path}.{Environment.ProcessId}-{Environment.CurrentManagedThreadId}.part";
        try
        {
            File.WriteAllText(temporary, text.ToString());
            File.Move(temporary, _path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _note($"measured products are not kept: {exception.Message}");
            DeleteQuietly(temporary);
        }
    }

    private static string Key(in DeviceInfo device) => string.Create(
        CultureInfo.InvariantCulture,
        $"modelserve products {Version}, abi {KernelLibrary.AbiVersion}, {device.NameText()}, sm_{device.ComputeMajor}{device.ComputeMinor}, {device.SmCount} multiprocessors, driver {device.DriverVersion}, cublaslt {device.CublasltVersion}");

    private void Read()
    {
        string[] lines;
        try
        {
            var file = new FileInfo(_path);
            if (!file.Exists || file.Length > MostBytes)
            {
                return;
            }

            lines = File.ReadAllLines(_path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _note($"measured products cannot be read: {exception.Message}");
            return;
        }

        if (lines.Length == 0 || lines[0] != _key || !lines.Skip(1).All(Parse))
        {
            _note($"{_path} is not what was written there; products are measured anew");
            _choices.Clear();
        }
    }

    private bool Parse(string line)
    {
        var parts = line.Split(' ');
        if (parts.Length != 10
            || !TryName<ProductRole>(parts[0], out var role)
            || !TryNumber(parts[1], out var features)
            || !TryNumber(parts[2], out var columns)
            || !TryName<ElementType>(parts[3], out var type)
            || !TryName<ElementType>(parts[4], out var result)
            || !bool.TryParse(parts[5], out var hasBias)
            || !TryNumber(parts[6], out var bucket)
            || !TryName<ProductForm>(parts[7], out var form)
            || !float.TryParse(parts[8], NumberStyles.Float, CultureInfo.InvariantCulture, out var microseconds)
            || !TryAlgorithm(parts[9], out var algorithm))
        {
            return false;
        }

        _choices[(new ProductShape(role, features, columns, type, result, hasBias), bucket)] = new ProductChoice(form, algorithm, microseconds);
        return true;
    }

    private static bool TryNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static bool TryName<T>(string text, out T value)
        where T : struct, Enum => Enum.TryParse(text, out value) && Enum.IsDefined(value);

    private static bool TryAlgorithm(string text, out byte[]? algorithm)
    {
        algorithm = null;
        if (text == "-")
        {
            return true;
        }

        algorithm = new byte[ProductChoice.AlgorithmBytes];
        return text.Length == 2 * ProductChoice.AlgorithmBytes
            && Convert.FromHexString(text, algorithm, out _, out var written) == System.Buffers.OperationStatus.Done
            && written == ProductChoice.AlgorithmBytes;
    }

    private static void DeleteQuietly(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The folder refuses both; the note has said so.
        }
    }
}
