using System.Security.Cryptography;
using System.Text;

namespace ModelServe.Api.Tests.Security;

/// <summary>A key file in a folder of its own, with the keys that stand in it.</summary>
public sealed class KeyFile : IDisposable
{
    public const string User = "the-key-of-a-user";
    public const string Other = "the-key-of-another-user";
    public const string Admin = "the-key-of-an-operator";
    public const string Expired = "the-key-of-yesterday";

    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-keys").FullName;

    public KeyFile(params string[] lines)
    {
        Path = System.IO.Path.Combine(_folder, "keys.jsonl");
        Write(lines.Length > 0 ? lines : [Line("user", User), Line("other", Other), Line("admin", Admin, "\"admin\":true"), Line("old", Expired, "\"expires\":\"2020-01-01T00:00:00Z\"")]);
    }

    public string Path { get; }

    public static string Line(string id, string key, string? more = null) =>
        $$"""{"id":"{{id}}","sha256":"{{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))}}"{{(more is null ? "" : "," + more)}}}""";

    public void Write(params string[] lines)
    {
        string next = Path + ".new";
        File.WriteAllLines(next, lines);
        File.SetUnixFileMode(next, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Move(next, Path, overwrite: true);
    }

    public ApiOptions Options(ApiOptions? options = null) =>
        (options ?? new ApiOptions { Reflection = true }) with { ApiKeyFile = Path, ReloadInterval = TimeSpan.FromMilliseconds(20) };

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
