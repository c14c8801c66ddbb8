using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Loading;

/// <summary>The rules of the files beside tokenizer.json.</summary>
public sealed class SettingsTests : IDisposable
{
    private readonly TestCheckpoint _checkpoint = new();

    public void Dispose() => _checkpoint.Dispose();

    [Theory]
    [InlineData("""{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<|im_start|>","eos_token":"<|im_end|>"}""", "<|im_start|>", null)]
    [InlineData("""{"tokenizer_class":"GemmaTokenizer","add_eos_token":true,"bos_token":{"content":"<|im_start|>"},"eos_token":"<|im_end|>"}""", "<|im_start|>", "<|im_end|>")]
    [InlineData("""{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"bos_token":"<|im_start|>"}""", null, null)]
    [InlineData("""{"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":true,"bos_token":"<|im_start|>"}""", null, null)]
    public void Llama_and_gemma_classes_write_the_post_processor_themselves(string config, string? first, string? last)
    {
        _checkpoint.Write("tokenizer_config.json", config);
        HfTokenizer tokenizer = _checkpoint.Load();
        string?[] wanted = [.. new[] { first, "hello", last }.Where(text => text is not null)];
        Assert.Equal(wanted, tokenizer.EncodeIds("hello", addSpecialTokens: true, parseSpecialTokens: false).Select(tokenizer.TokenText));
    }

    [Fact]
    public void A_bos_token_that_is_asked_for_but_not_named_is_refused()
    {
        _checkpoint.Write("tokenizer_config.json", """{"tokenizer_class":"LlamaTokenizer","add_bos_token":true}""");
        Assert.Contains("bos_token", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Added_tokens_of_the_settings_override_flags_and_add_tokens()
    {
        int first = _checkpoint.FirstAdded;
        _checkpoint.Write("tokenizer_config.json", $$$"""
            {"added_tokens_decoder":{"{{{first + 3}}}":{"content":"<tool>","special":true,"lstrip":true},"{{{first + 9}}}":{"content":"<new>","special":false,"normalized":false} } }
            """);
        HfTokenizer tokenizer = _checkpoint.Load();
        Assert.True(tokenizer.IsSpecial(first + 3));
        Assert.Equal(first + 10, tokenizer.VocabularySize);
        Assert.Equal(["a", "<tool>", "<new>"], tokenizer.EncodeIds("a  <tool><new>", false, true).Select(tokenizer.TokenText));
    }

    [Fact]
    public void An_added_id_that_contradicts_the_vocabulary_is_refused()
    {
        _checkpoint.Write("tokenizer_config.json", """{"added_tokens_decoder":{"7":{"content":"hello"}}}""");
        Assert.Contains("contradicts", Assert.Throws<InvalidTextModelException>(_checkpoint.Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Stop_ids_come_from_all_three_files()
    {
        int first = _checkpoint.FirstAdded;
        _checkpoint.Write("tokenizer_config.json", """{"eos_token":"<|im_end|>"}""");
        _checkpoint.Write("config.json", $$"""{"eos_token_id":{{first + 2}}}""");
        _checkpoint.Write("generation_config.json", $$"""{"eos_token_id":[{{first}},{{first + 2}}],"temperature":0.6,"top_p":0.95,"top_k":20,"do_sample":true}""");
        TextModel model = TextModel.Load(_checkpoint.Folder);
        Assert.Equal([first, first + 1, first + 2], model.StopTokenIds);
        Assert.Equal((0.6f, 0.95f, 20, true, null), (model.Defaults.Temperature, model.Defaults.TopP, model.Defaults.TopK, model.Defaults.DoSample, model.Defaults.MinP));
    }

    [Theory]
    [InlineData("""{"top_p":0}""", "top_p")]
    [InlineData("""{"temperature":-1}""", "temperature")]
    [InlineData("""{"top_k":1.5}""", "top_k")]
    [InlineData("""{"eos_token_id":[-1]}""", "eos_token_id[0]")]
    [InlineData("""{"do_sample":"yes"}""", "do_sample")]
    public void A_default_out_of_range_is_refused_by_field(string json, string field)
    {
        _checkpoint.Write("generation_config.json", json);
        string message = Assert.Throws<InvalidTextModelException>(() => GenerationDefaults.Load(_checkpoint.Folder)).Message;
        Assert.StartsWith($"generation_config.json: {field}", message, StringComparison.Ordinal);
    }
}
