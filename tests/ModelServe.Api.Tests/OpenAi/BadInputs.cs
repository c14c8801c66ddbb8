using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Inputs that the HTTP dialect refuses: where they go, the body, the status, and the field that the answer names.</summary>
public static class BadInputs
{
    private const string Chats = "/v1/chat/completions";
    private const string Texts = "/v1/completions";

    /// <summary>Members that a chat of one good message gets besides.</summary>
    private static readonly (string Member, string? Param)[] ChatMembers =
    [
        ("\"temperature\":-0.1", "temperature"), ("\"temperature\":101", "temperature"), ("\"temperature\":1e400", "temperature"),
        ("\"temperature\":1e39", "temperature"), ("\"temperature\":\"hot\"", "temperature"), ("\"temperature\":true", "temperature"),
        ("\"top_p\":0", "top_p"), ("\"top_p\":1.01", "top_p"), ("\"top_p\":-1e-30", "top_p"), ("\"min_p\":2", "min_p"),
        ("\"top_k\":-2", "top_k"), ("\"top_k\":1.5", "top_k"), ("\"top_k\":99999999999", "top_k"),
        ("\"repetition_penalty\":0", "repetition_penalty"), ("\"presence_penalty\":2.1", "presence_penalty"),
        ("\"frequency_penalty\":-3", "frequency_penalty"), ("\"seed\":\"x\"", "seed"), ("\"seed\":1e30", "seed"),
        ("\"n\":0", "n"), ("\"n\":-1", "n"), ("\"n\":17", "n"), ("\"n\":2147483647", "n"), ("\"n\":2.5", "n"),
        ("\"max_tokens\":0", "max_tokens"), ("\"max_tokens\":-5", "max_tokens"), ("\"max_tokens\":100000", "max_tokens"),
        ("\"max_completion_tokens\":0", "max_completion_tokens"), ("\"max_tokens\":4,\"max_completion_tokens\":5", "max_completion_tokens"),
        ("\"min_tokens\":-1", "min_tokens"), ("\"max_tokens\":4,\"min_tokens\":5", "min_tokens"),
        ("\"stop\":5", "stop"), ("\"stop\":[\"\"]", "stop"), ("\"stop\":[1]", "stop"),
        ("\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"0\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]", "stop"),
        ("\"stop_token_ids\":[-1]", "stop_token_ids"), ("\"stop_token_ids\":[260]", "stop_token_ids"), ("\"stop_token_ids\":7", "stop_token_ids"),
        ("\"logit_bias\":{\"260\":1}", "logit_bias"), ("\"logit_bias\":{\"-1\":1}", "logit_bias"), ("\"logit_bias\":{\"x\":1}", "logit_bias"),
        ("\"logit_bias\":{\"1\":101}", "logit_bias"), ("\"logit_bias\":{\"1\":\"a\"}", "logit_bias"), ("\"logit_bias\":[1]", "logit_bias"),
        ("\"logprobs\":true,\"top_logprobs\":21", "top_logprobs"), ("\"top_logprobs\":2", "top_logprobs"), ("\"logprobs\":5", "logprobs"),
        ("\"stream\":\"yes\"", "stream"), ("\"stream_options\":{\"include_usage\":true}", "stream_options"),
        ("\"stream\":true,\"stream_options\":{\"other\":1}", "stream_options.other"), ("\"stream\":true,\"stream_options\":[]", "stream_options"),
        ("\"priority\":1001", "priority"), ("\"cache_salt\":\"\"", "cache_salt"), ("\"ignore_eos\":1", "ignore_eos"),
        ("\"skip_special_tokens\":\"no\"", "skip_special_tokens"), ("\"unknown_field\":1", "unknown_field"), ("\"Temperature\":1", "Temperature"),
        ("\"best_of\":2", "best_of"), ("\"prompt\":\"x\"", "prompt"), ("\"user\":5", "user"), ("\"metadata\":{\"a\":1}", "metadata"),
        ("\"store\":true", "store"), ("\"service_tier\":\"scale\"", "service_tier"), ("\"modalities\":[\"audio\"]", "modalities"),
        ("\"audio\":{}", "audio"), ("\"functions\":[]", "functions"), ("\"prediction\":{}", "prediction"),
        ("\"response_format\":{\"type\":\"json_object\"},\"min_tokens\":1", "min_tokens"), ("\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema"),
        ("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"nope\"}}}", "response_format"), ("\"structured_outputs\":{\"regex\":\"(((\"}", "structured_outputs.regex"),
        ("\"structured_outputs\":{\"grammar\":\"root ::= missing\"}", "structured_outputs.grammar"), ("\"structured_outputs\":{\"grammar\":\"start: a\"}", "structured_outputs.grammar"),
        ("\"structured_outputs\":{\"grammar\":7}", "structured_outputs.grammar"),
        ("\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"a\"]}", "structured_outputs.json"), ("\"structured_outputs\":{\"regex\":\"(?=a)\"}", "structured_outputs.regex"),
        ("\"response_format\":{\"type\":\"nope\"}", "response_format.type"),
        ("\"response_format\":\"text\"", "response_format"), ("\"tool_choice\":\"required\"", "tool_choice"), ("\"tool_choice\":7", "tool_choice"),
        ("\"tools\":{}", "tools"), ("\"tools\":[1]", "tools[0]"), ("\"tools\":[{\"type\":\"web\"}]", "tools[0].type"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{}}]", "tools[0].function.name"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "tools[0].function.name"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\"", "tool_choice"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":1}}]", "tools[0].function.strict"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{}}", "tool_choice.function.name"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}", "tool_choice"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"custom\"}", "tool_choice.type"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"some\"}}", "tool_choice.allowed_tools.mode"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[]}}", "tool_choice.allowed_tools.tools"),
        ("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[7]}}", "tool_choice.allowed_tools.tools[0]"),
        ("\"parallel_tool_calls\":\"no\"", "parallel_tool_calls"),
        ("\"chat_template\":\"{{ x }}\"", "chat_template"), ("\"chat_template_kwargs\":{\"tokenize\":false}", "chat_template_kwargs"),
        ("\"chat_template_kwargs\":{\"__class__\":[]}", "chat_template_kwargs"), ("\"chat_template_kwargs\":{\"A\":1}", "chat_template_kwargs"),
        ("\"reasoning_effort\":\"huge\"", "reasoning_effort"), ("\"continue_final_message\":true", "continue_final_message"),
        ("\"temperature\":NaN", null), ("\"temperature\":Infinity", null), ("\"temperature\":1,\"temperature\":1", null),
        ("\"user\":\"\\ud800\"", null), ("\"\\udc00\":1", null),
    ];

    private static readonly (string Messages, string Param)[] MessageLists =
    [
        ("[]", "messages"), ("{}", "messages"), ("null", "messages"), ("[1]", "messages[0]"), ("[{}]", "messages[0].role"),
        ("[{\"role\":\"king\",\"content\":\"x\"}]", "messages[0].role"), ("[{\"role\":\"user\"}]", "messages[0].content"),
        ("[{\"role\":\"user\",\"content\":5}]", "messages[0].content"), ("[{\"role\":\"user\",\"content\":[1]}]", "messages[0].content[0]"),
        ("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://127.0.0.1:1/\"}}]}]", "messages[0].content[0].type"),
        ("[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}]", "messages[0].content[0].type"),
        ("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "messages[0].content[0].text"),
        ("[{\"role\":\"user\",\"content\":\"x\",\"odd\":1}]", "messages[0].odd"),
        ("[{\"role\":\"user\",\"content\":\"x\",\"tool_calls\":[{}]}]", "messages[0].tool_calls"),
        ("[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}]", "messages[0].tool_calls[0].function.arguments"),
        ("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]", "messages"),
        ("[{\"role\":\"user\",\"content\":\"\\ufdd0\"}]", "messages"),
    ];

    private static readonly (string Path, string Body, int Status, string? Param)[] Others =
    [
        (Chats, "", 400, null), (Chats, "{", 400, null), (Chats, "[]", 400, null), (Chats, "null", 400, null), (Chats, "{} {}", 400, null),
        (Chats, "{\"a\":" + new string('[', 100) + new string(']', 100) + "}", 400, null),
        (Chats, new string('[', 100_000), 400, null),
        (Chats, "{\"model\":\"none\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 404, "model"),
        (Chats, "{\"model\":7,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 400, "model"),
        (Chats, "{\"model\":\"../../etc\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 404, "model"),
        (Texts, "{}", 400, "prompt"), (Texts, "{\"prompt\":\"\"}", 400, "prompt"), (Texts, "{\"prompt\":[]}", 400, "prompt"),
        (Texts, "{\"prompt\":[[]]}", 400, "prompt"), (Texts, "{\"prompt\":[1,-1]}", 400, "prompt"), (Texts, "{\"prompt\":[260]}", 400, "prompt"),
        (Texts, "{\"prompt\":[1,\"a\"]}", 400, "prompt"), (Texts, "{\"prompt\":[\"a\",{}]}", 400, "prompt"), (Texts, "{\"prompt\":{}}", 400, "prompt"),
        (Texts, "{\"prompt\":\"" + new string('x', 600) + "\"}", 400, "prompt"), (Texts, "{\"prompt\":[2147483648]}", 400, "prompt"),
        (Texts, "{\"prompt\":\"a\",\"best_of\":3}", 400, "best_of"), (Texts, "{\"prompt\":\"a\",\"suffix\":\"b\"}", 400, "suffix"),
        (Texts, "{\"prompt\":\"a\",\"logprobs\":21}", 400, "logprobs"), (Texts, "{\"prompt\":\"a\",\"logprobs\":-2}", 400, "logprobs"),
        (Texts, "{\"prompt\":\"a\",\"max_tokens\":0}", 400, "max_tokens"), (Texts, "{\"prompt\":\"a\",\"max_tokens\":-1,\"echo\":true}", 400, "max_tokens"),
        (Texts, "{\"prompt\":\"a\",\"max_tokens\":0,\"echo\":true,\"min_tokens\":1}", 400, "min_tokens"),
        (Texts, "{\"prompt\":\"a\",\"prompt_logprobs\":-1}", 400, "prompt_logprobs"), (Texts, "{\"prompt\":\"a\",\"prompt_logprobs\":1000}", 400, "prompt_logprobs"),
        (Texts, "{\"prompt\":\"a\",\"prompt_logprobs\":\"1\"}", 400, "prompt_logprobs"), (Texts, "{\"prompt\":\"a\",\"prompt_logprobs\":1.5}", 400, "prompt_logprobs"),
        (Chats, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"prompt_logprobs\":21}", 400, "prompt_logprobs"),
        (Texts, "{\"prompt\":\"a\",\"messages\":[]}", 400, "messages"),
        (Texts, "{\"prompt\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"n\":16}", 400, "n"),
        ("/v1/embeddings", "{\"model\":\"fake\",\"input\":\"x\",\"encoding_format\":\"base64\"}", 400, "model"),
        ("/tokenize", "{\"prompt\":\"\"}", 400, "prompt"), ("/tokenize", "{}", 400, "messages"), ("/tokenize", "{\"prompt\":\"a\",\"x\":1}", 400, "x"),
        ("/detokenize", "{}", 400, "tokens"), ("/detokenize", "{\"tokens\":[260]}", 400, "tokens"), ("/detokenize", "{\"tokens\":[1.5]}", 400, "tokens"),
    ];

    /// <summary>Every case.</summary>
    public static TheoryData<string, string, int, string?> All
    {
        get
        {
            var all = new TheoryData<string, string, int, string?>();
            foreach ((string member, string? param) in ChatMembers)
            {
                all.Add(Chats, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," + member + "}", 400, param);
            }

            foreach ((string messages, string param) in MessageLists)
            {
                all.Add(Chats, "{\"messages\":" + messages + "}", 400, param);
            }

            foreach ((string path, string body, int status, string? param) in Others)
            {
                all.Add(path, body, status, param);
            }

            return all;
        }
    }
}
