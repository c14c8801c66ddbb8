using System.IO.Compression;
using System.Security.Cryptography;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Facades;

/// <summary>The text files of a checkpoint as a zip archive, for routers that tokenize. One is made at a time.</summary>
/// <remarks>Files of one content give one archive wherever they lie: entries are in order of name and carry a fixed time.</remarks>
internal sealed class TokenizerArchive : IDisposable
{
    private const long LargestTotal = 256L << 20;

    private static readonly DateTimeOffset EntryTime = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly HashSet<string> Names = new(StringComparer.Ordinal)
    {
        "tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.json",
    };

    private static readonly string[] Endings = [".tiktoken", ".jinja", ".model"];

    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>Packs a model's files.</summary>
    /// <returns>The archive and its SHA-256 in lower-case hexadecimal.</returns>
    /// <exception cref="Grpc.Core.RpcException">The model has no such files, or they are too large.</exception>
    public async Task<(ReadOnlyMemory<byte> Bytes, string Sha256)> PackAsync(ServedModel model, CancellationToken cancellationToken)
    {
        FileInfo[] files = model.Directory is { } directory ? TextFiles(directory) : [];
        long total = files.Sum(file => file.Length);
        if (files.Length == 0 || total > LargestTotal)
        {
            throw RejectionStatus.ToException(new Rejection(
                RejectionReason.Unsupported, "model", $"one with tokenizer files of at most {LargestTotal} bytes", $"{total} bytes"));
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            using var archive = new MemoryStream();
            await WriteAsync(files, archive, cancellationToken);
            ReadOnlyMemory<byte> bytes = archive.ToArray();
            return (bytes, Convert.ToHexStringLower(SHA256.HashData(bytes.Span)));
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private static FileInfo[] TextFiles(string directory) =>
    [
        .. new DirectoryInfo(directory).EnumerateFiles()
            .Where(file => Names.Contains(file.Name) || Endings.Contains(file.Extension))
            .OrderBy(file => file.Name, StringComparer.Ordinal),
    ];

    private static async Task WriteAsync(FileInfo[] files, Stream target, CancellationToken cancellationToken)
    {
        await using var zip = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true);
        foreach (FileInfo file in files)
        {
            ZipArchiveEntry entry = zip.CreateEntry(file.Name, CompressionLevel.Fastest);
            entry.LastWriteTime = EntryTime;
            await using Stream output = await entry.OpenAsync(cancellationToken);
            await using FileStream input = file.OpenRead();
            await input.CopyToAsync(output, cancellationToken);
        }
    }
}
