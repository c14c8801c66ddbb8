using System.Text.Json.Nodes;
using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Loading;

/// <summary>What is not implemented or contradicts itself is refused while loading, by file and field.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly TestCheckpoint _checkpoint = new();

    public void Dispose() => _checkpoint.Dispose();

    [Theory]
    [InlineData("model", """{"type":"Unigram","vocab":[]}""", "ByteLevel before the model Unigram")]
    [InlineData("model", """{"type":"WordLevel","vocab":{}}""", "WordLevel")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"\\p{Han}+"},"behavior":"Isolated","invert":false}""", "\\p{Han}")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"[a[b]]"},"behavior":"Isolated","invert":false}""", "a class inside a class")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Isolated","invert":false}""", "&&")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated","invert":false}""", "\\1")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a{1,2}+"},"behavior":"Isolated","invert":false}""", "{1,2}+")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"\\bword"},"behavior":"Isolated","invert":false}""", "\\b")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(?m:a)"},"behavior":"Isolated","invert":false}""", "(?m")]
    [InlineData("post_processor", """{"type":"Other"}""", "Other")]
    [InlineData("decoder", """{"type":"CTC"}""", "CTC")]
    public void A_feature_that_is_not_implemented_is_refused_by_name(string member, string json, string named)
    {
        _checkpoint.Root[member] = JsonNode.Parse(json);
        _checkpoint.Save();
        string message = Assert.Throws<UnsupportedFeatureException>(_checkpoint.Load).Message;
        Assert.Contains($"tokenizer.json: {member}", message, StringComparison.Ordinal);
        Assert.Contains(named, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dropout", "0.1")]
    [InlineData("continuing_subword_prefix", "\"##\"")]
    [InlineData("end_of_word_suffix", "\"</w>\"")]
    public void A_model_setting_that_is_not_implemented_is_refused_by_name(string name, string value)
    {
        _checkpoint.Model[name] = JsonNode.Parse(value);
        _checkpoint.Save();
        Assert.Contains(name, Assert.Throws<UnsupportedFeatureException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"q\"")]
    [InlineData("\"a b c\"")]
    [InlineData("[\"a\"]")]
    [InlineData("\"q ☃\"")]
    public void A_malformed_merge_is_refused_with_its_number(string merge)
    {
        ((JsonArray)_checkpoint.Model["merges"]!).Add(JsonNode.Parse(merge));
        _checkpoint.Save();
        string message = Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message;
        Assert.Contains("tokenizer.json: model.merges: merge 9", message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_id_that_two_tokens_share_is_refused()
    {
        _checkpoint.Model["vocab"]!["twice"] = 5;
        _checkpoint.Save();
        Assert.Contains("the id 5 belongs to both", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_that_two_added_tokens_share_is_refused_with_its_place()
    {
        var list = (JsonArray)_checkpoint.Root["added_tokens"]!;
        JsonNode twice = list[1]!.DeepClone();
        twice["id"] = _checkpoint.FirstAdded + 9;
        list.Add(twice);
        _checkpoint.Save();
        string message = Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message;
        Assert.Contains("tokenizer.json: added_tokens[4]", message, StringComparison.Ordinal);
        Assert.Contains($"\"<|im_end|>\" has both the id {_checkpoint.FirstAdded + 1} and the id {_checkpoint.FirstAdded + 9}", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_refused_by_name()
    {
        File.Delete(Path.Combine(_checkpoint.Folder, "tokenizer.json"));
        Assert.Contains("tokenizer.json", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"model":{"type":"BPE","vocab":3,"merges":[]}}""")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}""")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":1.5},"merges":[]}}""")]
    public void A_broken_file_is_refused_as_invalid(string json)
    {
        _checkpoint.Write("tokenizer.json", json);
        Assert.Contains("tokenizer.json", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }
}
