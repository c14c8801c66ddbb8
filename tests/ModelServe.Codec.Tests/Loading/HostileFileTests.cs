using System.Text.Json.Nodes;
using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Loading;

/// <summary>A tokenizer.json made to harm is refused while loading, with the place and the reason.</summary>
public sealed class HostileFileTests : IDisposable
{
    private const string BertUnknown = """{"type":"WordPiece","unk_token":"[UNK]","vocab":{"a":0}}""";

    private readonly TestCheckpoint _checkpoint = new();

    public void Dispose() => _checkpoint.Dispose();

    [Theory]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":{}}""", "model.vocab", "expected a list")]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":[["a"]]}""", "model.vocab", "entry 0")]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":[["a",-1],["b","c"]]}""", "model.vocab", "entry 1")]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":[["a",-1e999]]}""", "model.vocab", "not finite")]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":[["a",-1],["a",-2]]}""", "model.vocab", "listed twice, as entries 0 and 1")]
    [InlineData("""{"type":"Unigram","unk_id":1,"vocab":[["a",-1]]}""", "model.unk_id", "not an index")]
    [InlineData("""{"type":"Unigram","unk_id":-1,"vocab":[["a",-1]]}""", "model.unk_id", "not an index")]
    [InlineData("""{"type":"Unigram","unk_id":0,"vocab":[["\ud800",-1]]}""", "model.vocab", "surrogate")]
    [InlineData(BertUnknown, "model.unk_token", "[UNK]")]
    [InlineData("""{"type":"WordPiece","unk_token":"a","max_input_chars_per_word":999999999,"vocab":{"a":0}}""", "max_input_chars_per_word", "999999999")]
    [InlineData("""{"type":"WordPiece","unk_token":"a","vocab":{"a":0,"b":0}}""", "model.vocab", "the id 0 belongs to both")]
    [InlineData("""{"type":"BPE","vocab":{"\ud800":0},"merges":[]}""", "model.vocab", "surrogate")]
    [InlineData("""{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}""", "model.vocab", "listed twice")]
    [InlineData("""{"type":"BPE","vocab":{"a":0},"merges":["a \ud800"]}""", "model.merges", "surrogate")]
    [InlineData("""{"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]}""", "model.merges", "\"b\", which is not in the vocabulary")]
    [InlineData("""{"type":"BPE","vocab":{"a":99999999999},"merges":[]}""", "model.vocab", "99999999999")]
    [InlineData("""{"type":"BPE","vocab":{"a":2000000000},"merges":[]}""", "model.vocab", "2000000000")]
    public void A_model_that_contradicts_itself_is_refused(string model, string place, string reason)
    {
        _checkpoint.Write("tokenizer.json", $$"""{"pre_tokenizer":null,"model":{{model}}}""");
        string message = Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message;
        Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
        Assert.Contains(place, message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("!", "not a valid Base-64")]
    [InlineData("", "shorter than its head")]
    [InlineData("/////wAAAAA=", "a trie of 4294967295 bytes")]
    [InlineData("BQAAAAAAAAAA", "a trie of 5 bytes")]
    public void A_broken_table_of_replacements_is_refused(string table, string reason)
    {
        _checkpoint.Root["normalizer"] = new JsonObject { ["type"] = "Precompiled", ["precompiled_charsmap"] = table };
        _checkpoint.Save();
        string message = Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message;
        Assert.Contains("tokenizer.json: normalizer.precompiled_charsmap", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_table_whose_strings_lie_outside_is_refused()
    {
        // Root leads to base 256; the unit for 'a' has a leaf whose value is beyond the strings.
        byte[] table = new byte[4 + (512 * 4)];
        BitConverter.TryWriteBytes(table, 512 * 4);
        BitConverter.TryWriteBytes(table.AsSpan(4), 256u << 10);
        int child = 256 ^ 'a';
        BitConverter.TryWriteBytes(table.AsSpan(4 + (child * 4)), (1u << 10) | 0x100u | 'a');
        BitConverter.TryWriteBytes(table.AsSpan(4 + ((child ^ 1) * 4)), 0x80000000u | 99u);
        _checkpoint.Root["normalizer"] = new JsonObject { ["type"] = "Precompiled", ["precompiled_charsmap"] = Convert.ToBase64String(table) };
        _checkpoint.Save();
        Assert.Contains("the string at 99", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("normalizer", "normalizers")]
    [InlineData("pre_tokenizer", "pretokenizers")]
    [InlineData("decoder", "decoders")]
    [InlineData("post_processor", "processors")]
    public void Nesting_without_end_is_refused(string member, string list)
    {
        string open = string.Concat(Enumerable.Repeat($$"""{"type":"Sequence","{{list}}":[""", 30_000));
        string close = string.Concat(Enumerable.Repeat("]}", 30_000));
        _checkpoint.Write("tokenizer.json", $$"""{"{{member}}":{{open}}{{close}}}""");
        string message = Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message;
        Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
        Assert.Contains("depth", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_beyond_the_limit_is_refused_unread()
    {
        using (FileStream file = File.Create(Path.Combine(_checkpoint.Folder, "tokenizer.json")))
        {
            file.SetLength((1L << 29) + 1);
        }
        Assert.Contains("more than 536870912", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Unigram_model_takes_a_long_run_in_linear_time()
    {
        _checkpoint.Write("tokenizer.json", """{"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-2],["aa",-3],["aaa",-9]]}}""");
        int[] ids = _checkpoint.Load().EncodeIds(new string('a', 100_000), addSpecialTokens: false, parseSpecialTokens: false);
        Assert.Equal(50_000, ids.Length);
    }
}
