using System.Security.Cryptography;
using System.Text;
using ModelServe.Api.Tests.Wire;
using ModelServe.Host.Tests.Cli;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Fault 13: a checkpoint that is damaged does not start, and the one line that says so names the file.</summary>
public sealed class CheckpointFaults : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("modelserve-damaged-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Shipped => Path.Combine(AppContext.BaseDirectory, "models", "tiny-nano");

    private string Weights => Path.Combine(_root, "model.safetensors");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public Task Weights_cut_short_anywhere_are_refused() => TruncateAsync(3, 8, 15);

    [Fact(Explicit = true)]
    public Task Weights_cut_short_anywhere_are_refused_in_full() => TruncateAsync([.. Enumerable.Range(0, 16)]);

    [Theory]
    [InlineData("missing", "safetensors")]
    [InlineData("extra tensor", "extra.weight")]
    [InlineData("wrong dtype", "model.embed_tokens.weight.dtype")]
    [InlineData("damaged header", "model.safetensors")]
    [InlineData("index of a missing shard", "model-00002-of-00002.safetensors")]
    [InlineData("index beyond the folder", "../model.safetensors")]
    [InlineData("pipe", "model.safetensors")]
    [InlineData("link to nothing", "model.safetensors")]
    public async Task A_damaged_checkpoint_is_refused(string damage, string named)
    {
        Copy();
        Damage(damage);
        await RefusedAsync(named);
        Tally.Fault(13, $"start with a checkpoint: {damage}", 1, 0, 1);
    }

    [Fact]
    public async Task A_flipped_bit_among_the_weights_is_found_where_checksums_are_verified()
    {
        Copy();
        await File.WriteAllLinesAsync(
            Path.Combine(_root, "SHA256SUMS"),
            Directory.GetFiles(_root).Select(file => $"{Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))}  {Path.GetFileName(file)}"),
            Cancellation);
        using (ModelServeProcess server = ModelServeProcess.Start(Arguments("--verify-checksums")))
        {
            await server.WaitForErrorTextAsync("ready: ", Cancellation);
            server.Terminate();
            Assert.Equal(0, await server.WaitAsync(Cancellation));
        }

        byte[] bytes = await File.ReadAllBytesAsync(Weights, Cancellation);
        bytes[^1000] ^= 4;
        await File.WriteAllBytesAsync(Weights, bytes, Cancellation);
        await RefusedAsync("model.safetensors: SHA-256", "--verify-checksums");
        await File.WriteAllTextAsync(Path.Combine(_root, "slipped-in.safetensors"), "x", Cancellation);
        await RefusedAsync("slipped-in.safetensors: listed in SHA256SUMS", "--verify-checksums");
        File.Delete(Path.Combine(_root, "SHA256SUMS"));
        await RefusedAsync("SHA256SUMS: a list of checksums", "--verify-checksums");
        Tally.Fault(13, "start with checksums: right, flipped bit, file beside the list, no list", 4, 1, 3);
    }

    private async Task TruncateAsync(params int[] sixteenths)
    {
        Copy();
        byte[] whole = await File.ReadAllBytesAsync(Weights, Cancellation);
        foreach (int part in sixteenths)
        {
            await File.WriteAllBytesAsync(Weights, whole[..(int)(whole.LongLength * part / 16)], Cancellation);
            await RefusedAsync("model.safetensors");
        }

        Tally.Fault(13, "start with weights cut at a sixteenth", sixteenths.Length, 0, sixteenths.Length);
    }

    private async Task RefusedAsync(string named, params string[] further)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, Arguments(further));
        Assert.NotEqual(0, code);
        Assert.Contains(named, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("ready", errors, StringComparison.Ordinal);
    }

    private string[] Arguments(params string[] further) =>
        ["serve", "--model", "damaged=" + _root, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", .. further];

    private void Damage(string damage)
    {
        byte[] bytes = File.ReadAllBytes(Weights);
        int header = (int)BitConverter.ToInt64(bytes);
        string json = Encoding.UTF8.GetString(bytes, 8, header);
        string index = Path.Combine(_root, "model.safetensors.index.json");
        switch (damage)
        {
            case "missing":
                File.Delete(Weights);
                break;
            case "extra tensor":
                int end = bytes.Length - 8 - header;
                Write(json[..json.LastIndexOf('}')] + $",\"extra.weight\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{end},{end + 4}]}}}}", [.. bytes[(8 + header)..], 0, 0, 0, 0]);
                break;
            case "wrong dtype":
                Write(json.Replace("\"BF16\"", "\"I16\"", StringComparison.Ordinal).Replace("\"F32\"", "\"I32\"", StringComparison.Ordinal), bytes[(8 + header)..]);
                break;
            case "damaged header":
                bytes[20] = (byte)'{';
                File.WriteAllBytes(Weights, bytes);
                break;
            case "index of a missing shard":
                File.Move(Weights, Path.Combine(_root, "model-00001-of-00002.safetensors"));
                File.WriteAllText(index, """{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors","model.embed_tokens.weight":"model-00002-of-00002.safetensors"}}""");
                break;
            case "index beyond the folder":
                File.Delete(Weights);
                File.WriteAllText(index, """{"weight_map":{"model.norm.weight":"../model.safetensors"}}""");
                break;
            case "pipe":
                File.Delete(Weights);
                System.Diagnostics.Process.Start("mkfifo", [Weights]).WaitForExit();
                break;
            default:
                File.Delete(Weights);
                File.CreateSymbolicLink(Weights, "/does/not/exist");
                break;
        }
    }

    private void Write(string header, byte[] data) =>
        File.WriteAllBytes(Weights, [.. BitConverter.GetBytes((long)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. data]);

    private void Copy()
    {
        foreach (string file in Directory.EnumerateFiles(Shipped))
        {
            File.Copy(file, Path.Combine(_root, Path.GetFileName(file)));
        }
    }
}
