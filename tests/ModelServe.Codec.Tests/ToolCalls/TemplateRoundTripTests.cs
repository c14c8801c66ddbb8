using System.Text.Json.Nodes;
using ModelServe.Codec.Templates;
using ModelServe.Codec.Tests.Templates;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

/// <summary>Calls as the models' own templates write them, where that corpus lies beside the repository.</summary>
public sealed class TemplateRoundTripTests
{
    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", ToolFormat.Hermes, 2)]
    [InlineData("Qwen-Qwen3-0.6B", ToolFormat.Hermes, 2)]
    [InlineData("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", ToolFormat.Hermes, 2)]
    [InlineData("Qwen-Qwen3-Coder-30B-A3B-Instruct", ToolFormat.Qwen3Coder, 2)]
    [InlineData("Qwen3.5-4B", ToolFormat.Qwen3Coder, 2)]
    [InlineData("NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", ToolFormat.Qwen3Coder, 2)]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct", ToolFormat.Llama3Json, 1)]
    [InlineData("meta-llama-Llama-3.2-3B-Instruct", ToolFormat.Llama3Json, 1)]
    [InlineData("mistralai-Mistral-Nemo-Instruct-2407", ToolFormat.Mistral, 2)]
    [InlineData("Mistral-Small-3.2-24B-Instruct-2506", ToolFormat.Mistral, 2)]
    [InlineData("mistralai-Ministral-3-14B-Reasoning-2512", ToolFormat.Mistral, 2)]
    [InlineData("cfg-deepseek_v3", ToolFormat.DeepSeek, 2)]
    [InlineData("deepseek-ai-DeepSeek-V3.1", ToolFormat.DeepSeek, 2)]
    [InlineData("openai-gpt-oss-120b", ToolFormat.Harmony, 1)]
    [InlineData("GLM-4.6", ToolFormat.Glm, 2)]
    [InlineData("GLM-4.7-Flash", ToolFormat.Glm, 2)]
    [InlineData("GLM-5.2", ToolFormat.Glm, 2)]
    [InlineData("moonshotai-Kimi-K2", ToolFormat.KimiK2, 2)]
    [InlineData("Apriel-1.6-15b-Thinker-fixed", ToolFormat.JsonList, 2)]
    [InlineData("CohereForAI-c4ai-command-r7b-12-2024-tool_use", ToolFormat.JsonList, 2)]
    [InlineData("Cohere2MoE", ToolFormat.JsonList, 2)]
    [InlineData("ByteDance-Seed-OSS", ToolFormat.SeedOss, 2)]
    [InlineData("deepseek-ai-DeepSeek-V3.2", ToolFormat.DeepSeekMarkup, 2)]
    [InlineData("deepseek-ai-DeepSeek-V4", ToolFormat.DeepSeekMarkup, 2)]
    [InlineData("google-gemma-4-31B-it", ToolFormat.Gemma, 2)]
    public void A_template_s_own_calls_are_read_back(string name, ToolFormat format, int calls)
    {
        string? folder = TestFolders.FindUpward("shared", "data", "chat-templates", "templates");
        Assert.SkipWhen(folder is null, "no shared/data/chat-templates beside the repository");
        string source = File.ReadAllText(Path.Combine(folder, name + ".jinja"));
        AnswerFormat detected = AnswerFormat.Detect(source);
        Assert.Equal(format, detected.Tools);
        ChatTemplate template = ChatTemplate.Parse(source);
        JsonObject context = Context(calls, plain: format == ToolFormat.DeepSeek, text: name == "cfg-deepseek_v3");
        string whole = template.Render(context);
        context["messages"]!.AsArray().RemoveAt(1);
        context["add_generation_prompt"] = true;
        string prompt = template.Render(context);
        int begin = 0;
        while (begin < prompt.Length && begin < whole.Length && prompt[begin] == whole[begin])
        {
            begin++;
        }

        // The prompt may go on differently from the middle of a marker.
        int open = whole.LastIndexOf('<', begin - 1);
        begin = open >= 0 && whole.AsSpan(open, 2).SequenceEqual("<|") && !whole.AsSpan(open, begin - open).Contains('>') ? open : begin;

        string answer = whole[begin..].Replace("<eos>", "", StringComparison.Ordinal);
        ParsedAnswer parsed = AnswerParser.Parse(answer, detected, new AnswerOptions { Tools = (JsonArray)context["tools"]! });
        Assert.True(calls == parsed.ToolCalls.Count, answer);
        for (int index = 0; index < calls; index++)
        {
            Assert.Equal("get_weather", parsed.ToolCalls[index].Name);
            Assert.True(JsonNode.DeepEquals(Arguments(index), JsonNode.Parse(parsed.ToolCalls[index].Arguments)), parsed.ToolCalls[index].Arguments);
        }
    }

    [Theory]
    [InlineData("<|im_start|>{{ '<think>' }}", "<think>")]
    [InlineData("[THINK]", "[THINK]")]
    [InlineData("plain", null)]
    public void Reasoning_markers_are_found_in_the_template(string template, string? open) =>
        Assert.Equal(open, AnswerFormat.Detect(template).Reasoning?.Open);

    [Fact]
    public void Formats_that_are_not_read_are_left_as_content()
    {
        Assert.Equal(ToolFormat.None, AnswerFormat.Detect("<|tools_prefix|>[").Tools);
        Assert.Equal(ToolFormat.None, AnswerFormat.Detect("<|im_start|>").Tools);
    }

    [Fact]
    public void A_prompt_that_ends_with_the_marker_has_opened_the_reasoning()
    {
        Assert.True(ReasoningMarkers.Think.IsOpenedBy("<|im_start|>assistant\n<think>\n"));
        Assert.False(ReasoningMarkers.Think.IsOpenedBy("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    }

    // DeepSeek's templates want no content beside calls, and V3's the arguments as text; the others an empty string and a dict.
    private static JsonObject Context(int calls, bool plain, bool text) => new()
    {
        ["messages"] = new JsonArray(
            new JsonObject { ["role"] = "user", ["content"] = "Weather?" },
            new JsonObject
            {
                ["role"] = "assistant",
                ["content"] = plain ? null : "",
                ["tool_calls"] = new JsonArray([.. Enumerable.Range(0, calls).Select(index => (JsonNode)new JsonObject
                {
                    ["id"] = "abcdefgh" + (char)('1' + index),
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = "get_weather", ["arguments"] = text ? Arguments(index).ToJsonString() : Arguments(index) },
                })]),
            }),
        ["tools"] = JsonNode.Parse("""
            [{"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": {"type": "object", "properties": {
              "city": {"type": "string", "description": "c"}, "days": {"type": "integer", "description": "n"}}}}}]
            """),
        ["add_generation_prompt"] = false,
        ["bos_token"] = "<bos>",
        ["eos_token"] = "<eos>",
    };

    private static JsonObject Arguments(int index) => new() { ["city"] = "São \"Paulo\"\nSP", ["days"] = index + 3 };
}
