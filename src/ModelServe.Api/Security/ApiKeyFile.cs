using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Security;

/// <summary>Reads a key file: one JSON object a line; empty lines and lines that begin with # count for nothing.</summary>
/// <remarks>
/// Strict: an unknown field, a field out of range, a name or a hash that stands twice is an error that names the line. Only
/// hashes stand in it, but it decides who may do what: a file that its group may write, or anybody may read or write, is refused.
/// </remarks>
internal static partial class ApiKeyFile
{
    private const int MaxBytes = 4 * 1024 * 1024;
    private const int MaxWeight = 1000;

    private const UnixFileMode TooOpen = UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>The file's bytes, once its size and permissions have been looked at.</summary>
    /// <exception cref="InvalidDataException">It is too large or too open.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static byte[] ReadBytes(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        UnixFileMode mode = OperatingSystem.IsWindows() ? UnixFileMode.None : File.GetUnixFileMode(stream.SafeFileHandle);
        if ((mode & TooOpen) != 0)
        {
            throw new InvalidDataException(
                $"{path}: nobody but the owner may write it and others may not read it (chmod 640); its mode is {Convert.ToString((int)mode, 8)}");
        }

        if (stream.Length > MaxBytes)
        {
            throw new InvalidDataException($"{path}: at most {MaxBytes} bytes; got {stream.Length}");
        }

        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The keys in a file's bytes.</summary>
    /// <param name="path">Its name, for messages.</param>
    /// <param name="bytes">UTF-8.</param>
    /// <exception cref="InvalidDataException">A line is not a key; the message names file, line, field and rule.</exception>
    public static IReadOnlyList<ApiKey> Parse(string path, ReadOnlyMemory<byte> bytes)
    {
        List<ApiKey> keys = [];
        HashSet<string> ids = new(StringComparer.Ordinal);
        HashSet<string> hashes = new(StringComparer.Ordinal);
        int number = 0;
        while (!bytes.IsEmpty)
        {
            number++;
            int end = bytes.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> line = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? default : bytes[(end + 1)..];
            ReadOnlySpan<byte> text = line.Span.Trim(" \t\r"u8);
            if (text.IsEmpty || text[0] == '#')
            {
                continue;
            }

            try
            {
                ApiKey key = ParseLine(line);
                Require(ids.Add(key.Id), "id", "a name that stands once", key.Id);
                Require(hashes.Add(Convert.ToHexString(key.Hash.Span)), "sha256", "a hash that stands once", "one that stands twice");
                keys.Add(key);
            }
            catch (JsonException)
            {
                throw new InvalidDataException($"{path}, line {number}: one JSON object expected");
            }
            catch (FormatException error)
            {
                throw new InvalidDataException($"{path}, line {number}: {error.Message}", error);
            }
        }

        return keys;
    }

    private static ApiKey ParseLine(ReadOnlyMemory<byte> line)
    {
        using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { AllowDuplicateProperties = false });
        Require(document.RootElement.ValueKind == JsonValueKind.Object, "line", "one JSON object", document.RootElement.ValueKind.ToString());
        ApiKey key = new() { Id = "", Hash = default };
        foreach (JsonProperty field in document.RootElement.EnumerateObject())
        {
            JsonElement value = field.Value;
            key = field.Name switch
            {
                "id" => key with { Id = Name(field.Name, value) },
                "sha256" => key with { Hash = Hash(field.Name, value) },
                "max_concurrent" => key with { MaxConcurrent = (int)Number(field.Name, value, int.MaxValue) },
                "requests_per_minute" => key with { RequestsPerMinute = Number(field.Name, value, 1L << 40) },
                "tokens_per_minute" => key with { TokensPerMinute = Number(field.Name, value, 1L << 40) },
                "weight" => key with { Weight = (int)Number(field.Name, value, MaxWeight) },
                "tier" => key with { Tier = Tier(field.Name, value) },
                "admin" => key with { IsAdmin = Truth(field.Name, value) },
                "cache_group" => key with { CacheGroup = Name(field.Name, value) },
                "expires" => key with { Expires = Moment(field.Name, value) },
                _ => throw new FormatException(
                    $"'{field.Name}' is no field; id, sha256, max_concurrent, requests_per_minute, tokens_per_minute, weight, tier, admin, cache_group and expires are"),
            };
        }

        Require(key.Id.Length > 0, "id", "1 to 64 letters, digits, dots, underscores or dashes", "none");
        Require(key.Hash.Length > 0, "sha256", "64 hexadecimal digits", "none");
        return key;
    }

    private static string Name(string field, JsonElement value)
    {
        string text = Text(field, value);
        Require(NameForm().IsMatch(text), field, "1 to 64 letters, digits, dots, underscores or dashes", "another form");
        return text;
    }

    private static byte[] Hash(string field, JsonElement value)
    {
        string text = Text(field, value);
        Require(text.Length == 64 && text.All(char.IsAsciiHexDigit), field, "64 hexadecimal digits", $"{text.Length} characters");
        return Convert.FromHexString(text);
    }

    private static long Number(string field, JsonElement value, long high)
    {
        long number = 0;
        Require(
            value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out number) && number >= 1 && number <= high,
            field,
            string.Create(CultureInfo.InvariantCulture, $"a whole number in [1, {high}]"),
            value.GetRawText());
        return number;
    }

    private static ServiceTier Tier(string field, JsonElement value) => Text(field, value) switch
    {
        "priority" => ServiceTier.Priority,
        "default" => ServiceTier.Default,
        "flex" => ServiceTier.Flex,
        var other => throw new FormatException($"{field}: priority, default or flex; got '{other}'"),
    };

    private static bool Truth(string field, JsonElement value)
    {
        Require(value.ValueKind is JsonValueKind.True or JsonValueKind.False, field, "true or false", value.GetRawText());
        return value.GetBoolean();
    }

    private static DateTimeOffset Moment(string field, JsonElement value)
    {
        Require(
            value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out _),
            field,
            "a time such as 2027-01-31T00:00:00Z",
            value.GetRawText());
        return value.GetDateTimeOffset();
    }

    private static string Text(string field, JsonElement value)
    {
        Require(value.ValueKind == JsonValueKind.String, field, "a text", value.ValueKind.ToString());
        return value.GetString()!;
    }

    private static void Require(bool holds, string field, string rule, string got)
    {
        if (!holds)
        {
            throw new FormatException($"{field}: {rule}; got {(got.Length > 64 ? got[..64] : got)}");
        }
    }

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NameForm();
}
