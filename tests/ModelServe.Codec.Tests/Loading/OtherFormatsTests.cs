using System.Text;
using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Loading;

/// <summary>Tokenizers without tokenizer.json: rank files and SentencePiece models, and what of them is refused.</summary>
public sealed class OtherFormatsTests : IDisposable
{
    private const string Config = """
        {"pat_str":"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+|[^\\s\\p{L}\\p{N}]+","add_bos_token":true,"bos_token":"<|start|>",
        "added_tokens_decoder":{"300":{"content":"<|start|>","special":true}}}
        """;

    private readonly TestCheckpoint _checkpoint = new();

    public OtherFormatsTests() => File.Delete(Path.Combine(_checkpoint.Folder, "tokenizer.json"));

    public void Dispose() => _checkpoint.Dispose();

    [Theory]
    [InlineData("hello hello", "258 261")]
    [InlineData("hell", "256 108 108")]
    [InlineData("llo", "108 259")]
    [InlineData("<|start|>", "60 124 115 116 97 114 116 124 62")]
    public void A_rank_file_merges_by_rank_and_takes_whole_words(string text, string ids)
    {
        Write(Ranks("he", "el", "hello", "lo", "lll", " hello"));
        HfTokenizer tokenizer = _checkpoint.Load();
        int[] found = tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: false);
        Assert.Equal(ids, string.Join(' ', found));
        Assert.Equal(text, tokenizer.DecodeIds(found, skipSpecialTokens: false));
        Assert.Equal(300, tokenizer.EncodeIds(text, addSpecialTokens: true, parseSpecialTokens: false)[0]);
    }

    [Theory]
    [InlineData("not base64\n", "line 257")]
    [InlineData("aGU=\n", "line 257")]
    [InlineData("aGU= -1\n", "line 257")]
    [InlineData("aGU= 99999999\n", "line 257")]
    [InlineData("YQ== 300\n", "line 257 repeats")]
    [InlineData("aGU= 5\n", "line 257 repeats")]
    public void A_broken_line_of_a_rank_file_is_refused_by_number(string line, string named)
    {
        Write(Ranks() + line);
        Assert.Contains(named, Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rank_file_that_lacks_a_byte_is_refused()
    {
        Write("aGU= 0\n");
        Assert.Contains("256 bytes", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "pat_str")]
    [InlineData("""{"pat_str":"a"}""", "added_tokens_decoder")]
    [InlineData("""{"pat_str":"\\p{Han}+","add_bos_token":false,"added_tokens_decoder":{}}""", "\\p{Han}")]
    public void A_rank_file_without_its_pattern_and_tokens_is_refused(string config, string named)
    {
        Write(Ranks());
        _checkpoint.Write("tokenizer_config.json", config);
        Assert.Contains(named, Assert.Throws<UnsupportedFeatureException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("T5Tokenizer")]
    [InlineData("XLMRobertaTokenizer")]
    [InlineData("PreTrainedTokenizer")]
    [InlineData("")]
    public void A_SentencePiece_model_of_a_class_that_may_renumber_is_refused_by_name(string tokenizerClass)
    {
        WriteModel([0x0A, 0x00]);
        _checkpoint.Write("tokenizer_config.json", $$"""{"tokenizer_class":"{{tokenizerClass}}","add_bos_token":true}""");
        Assert.Contains($"the class \"{tokenizerClass}\"", Assert.Throws<UnsupportedFeatureException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0x0A, 0x7F, 0x01 }, "longer than the rest")]
    [InlineData(new byte[] { 0x0A, 0x00 }, "piece 0 is empty")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0xFF }, "piece 0 is not UTF-8")]
    [InlineData(new byte[] { 0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x09 }, "of an unknown kind")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61, 0x13 }, "unknown kind")]
    [InlineData(new byte[] { 0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF }, "more than ten bytes")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61 }, "no piece is the unknown one")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61, 0x0A, 0x03, 0x0A, 0x01, 0x61 }, "listed twice")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61, 0x1A, 0x06, 0x12, 0x04, 1, 2, 3, 4 }, "shorter than its head")]
    public void A_broken_SentencePiece_model_is_refused_with_the_reason(byte[] content, string named)
    {
        WriteModel(content);
        Assert.Contains(named, Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61, 0x12, 0x02, 0x18, 0x03 }, "model type 3")]
    [InlineData(new byte[] { 0x0A, 0x03, 0x0A, 0x01, 0x61, 0x12, 0x03, 0xC0, 0x01, 0x01 }, "treat_whitespace_as_suffix")]
    [InlineData(new byte[] { 0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x05 }, "unused pieces")]
    public void What_a_SentencePiece_model_asks_for_in_vain_is_refused_by_name(byte[] content, string named)
    {
        WriteModel(content);
        Assert.Contains(named, Assert.Throws<UnsupportedFeatureException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_without_any_tokenizer_is_refused_with_all_names() =>
        Assert.Contains("tiktoken rank file", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);

    private static string Ranks(params string[] further)
    {
        var file = new StringBuilder();
        for (int value = 0; value < 256; value++)
        {
            file.Append(Convert.ToBase64String([(byte)value])).Append(' ').Append(value).Append('\n');
        }
        for (int index = 0; index < further.Length; index++)
        {
            file.Append(Convert.ToBase64String(Encoding.UTF8.GetBytes(further[index]))).Append(' ').Append(256 + index).Append('\n');
        }
        return file.ToString();
    }

    private void Write(string ranks)
    {
        _checkpoint.Write("some.tiktoken", ranks);
        _checkpoint.Write("tokenizer_config.json", Config);
    }

    private void WriteModel(byte[] content)
    {
        File.WriteAllBytes(Path.Combine(_checkpoint.Folder, "tokenizer.model"), content);
        _checkpoint.Write("tokenizer_config.json", """{"tokenizer_class":"LlamaTokenizer"}""");
    }
}
