using System.Text.Json.Nodes;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Checkpoints;

/// <summary>What config.json says is obeyed or refused by name; nothing is guessed.</summary>
public sealed class ModelConfigTests
{
    [Theory]
    [InlineData("architectures", """["GPT2LMHeadModel"]""", "GPT2LMHeadModel")]
    [InlineData("architectures", "[]", "nothing")]
    [InlineData("architectures", "\"LlamaForCausalLM\"", "a list of strings")]
    [InlineData("hidden_size", "null", "nothing")]
    [InlineData("hidden_size", "-1", "-1")]
    [InlineData("hidden_size", "64.5", "64.5")]
    [InlineData("hidden_size", "\"64\"", "64")]
    [InlineData("hidden_size", "1e99", "1e99")]
    [InlineData("num_hidden_layers", "0", "1..1024")]
    [InlineData("num_hidden_layers", "100000", "1..1024")]
    [InlineData("num_attention_heads", "0", "1..1024")]
    [InlineData("num_key_value_heads", "3", "a divisor")]
    [InlineData("head_dim", "24", "a multiple of 16")]
    [InlineData("head_dim", "512", "1..256")]
    [InlineData("vocab_size", "0", "2..")]
    [InlineData("intermediate_size", "null", "nothing")]
    [InlineData("max_position_embeddings", "0", "1..")]
    [InlineData("rms_norm_eps", "-1", "-1")]
    [InlineData("rms_norm_eps", "\"x\"", "x")]
    [InlineData("rope_theta", "0", "0")]
    [InlineData("hidden_act", "\"gelu\"", "gelu")]
    [InlineData("tie_word_embeddings", "1", "true or false")]
    [InlineData("quantization_config", """{"bits":4}""", "quantised")]
    [InlineData("partial_rotary_factor", "0.5", "0.5")]
    [InlineData("use_sliding_window", "true", "use_sliding_window")]
    [InlineData("layer_types", """["full_attention","sliding_attention"]""", "sliding_attention")]
    [InlineData("rope_scaling", """{"rope_type":"yarn","factor":4}""", "yarn")]
    [InlineData("rope_scaling", """{"type":"dynamic","factor":4}""", "dynamic")]
    [InlineData("rope_scaling", """{"type":"linear"}""", "rope_scaling.factor")]
    [InlineData("rope_scaling", """{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,"original_max_position_embeddings":32}""", "high_freq_factor")]
    [InlineData("rope_scaling", "[]", "an object")]
    [InlineData("rope_parameters", """{"rope_type":"longrope","rope_theta":1e4}""", "longrope")]
    public void A_value_that_is_not_implemented_or_out_of_range_is_named(string field, string value, string part)
    {
        var config = TinyModel.Llama.Config();
        config[field] = JsonNode.Parse(value);
        var refusal = Assert.Throws<CheckpointException>(() => Read(config));
        Assert.StartsWith("config.json: ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(field, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(part, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"architectures":["LlamaForCausalLM"],"architectures":["LlamaForCausalLM"]}""")]
    public void A_file_that_is_no_object_is_refused(string text)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", text);
        Assert.Contains("config.json", Assert.Throws<CheckpointException>(() => ModelConfig.Read(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("config.json", Assert.Throws<CheckpointException>(() => ModelConfig.Read(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Newer_files_keep_base_and_scaling_together()
    {
        var config = TinyModel.Llama.Config();
        config.Remove("rope_theta");
        config["rope_parameters"] = new JsonObject { ["rope_type"] = "linear", ["factor"] = 2.0, ["rope_theta"] = 1234.0 };
        var read = Read(config);
        Assert.Equal(1234, read.RotaryBase);
        Assert.Equal(new RotaryScaling(RotaryScalingKind.Linear, 2), read.RotaryScaling);
    }

    [Fact]
    public void Rotary_parameters_nested_a_layer_type_are_refused()
    {
        var config = TinyModel.Llama.Config();
        config.Remove("rope_theta");
        config["rope_parameters"] = JsonNode.Parse("""{"full_attention":{"rope_type":"default","rope_theta":1e4}}""");
        Assert.Contains("rope_theta", Assert.Throws<CheckpointException>(() => Read(config)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Absent_sizes_take_the_values_of_their_architecture()
    {
        var llama = TinyModel.Llama.Config();
        llama.Remove("num_key_value_heads");
        llama.Remove("head_dim");
        Assert.Equal((4, 16), (Read(llama).KeyValueHeads, Read(llama).HeadDim));

        var qwen = TinyModel.Qwen3.Config();
        qwen.Remove("head_dim");
        Assert.Equal(128, Read(qwen).HeadDim);
    }

    [Fact]
    public void Only_mistral_obeys_a_plain_window()
    {
        var mistral = TinyModel.Mistral.Config();
        Assert.Equal(7, Read(mistral).SlidingWindow);
        mistral["sliding_window"] = null;
        Assert.Equal(0, Read(mistral).SlidingWindow);

        var qwen = TinyModel.Qwen2.Config();
        qwen["sliding_window"] = 7;
        Assert.Equal(0, Read(qwen).SlidingWindow);
    }

    [Fact]
    public void Qwen2_always_has_query_key_value_biases_and_no_other()
    {
        var config = Read(TinyModel.Qwen2.Config());
        Assert.True(config is { QkvBias: true, OutputBias: false, MlpBias: false, QkNorm: false });
    }

    private static ModelConfig Read(JsonObject config)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", config.ToJsonString());
        return ModelConfig.Read(folder.Path);
    }
}
