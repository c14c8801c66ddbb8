using Google.Protobuf;
using ModelServe.V1;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Requests that the gRPC contract refuses: the method, the message as JSON, the status and the field that the details name.</summary>
public static class BadRequests
{
    private const string Text = "\"text\":\"hello\"";
    private const string LongText = "\"text\":\"hello hello\"";
    private const string Chat = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]";

    private static readonly (string Form, string Field)[] Forms =
    [
        ("""{"jsonObject":false}""", "options.form"), ("""{"jsonSchema":"{"}""", "options.form.json_schema"), ("""{"jsonSchema":"{\"type\":\"nope\"}"}""", "options.form.json_schema"),
        ("""{"regex":"((("}""", "options.form.regex"), ("""{"regex":"(?=a)"}""", "options.form.regex"), ("""{"grammar":"root ::= root"}""", "options.form.grammar"), ("""{"choice":{}}""", "options.form"),
    ];

    private static readonly (string Method, string Body, string Code, string Field)[] Others =
    [
        ("Generate", "{}", "InvalidArgument", ""), ("Generate", """{"text":""}""", "InvalidArgument", ""), ("Generate", """{"tokenIds":{}}""", "InvalidArgument", ""),
        ("Generate", """{"tokenIds":{"ids":[260]}}""", "InvalidArgument", "token_ids"), ("Generate", """{"tokenIds":{"ids":[1,4294967295]}}""", "InvalidArgument", "token_ids"),
        ("Generate", """{"tokenIds":{"ids":[1,2147483648]}}""", "InvalidArgument", "token_ids"),
        ("Generate", """{"text":"a","model":"none"}""", "NotFound", ""), ("Generate", """{"text":"a","model":"../etc"}""", "NotFound", ""),
        ("Generate", """{"text":"a","model":"fake/.."}""", "NotFound", ""), ("Generate", """{"text":"a","model":" fake"}""", "NotFound", ""),
        ("Generate", """{"text":"LONG"}""", "InvalidArgument", ""),
        ("Generate", """{"text":"a","options":{"tier":"TIER_PRIORITY","priority":2000}}""", "InvalidArgument", "options.priority"),
        ("Chat", "{}", "InvalidArgument", ""), ("Chat", """{"messages":[{}]}""", "InvalidArgument", "messages[0].role"),
        ("Chat", """{"messages":[{"role":"us er","content":"x"}]}""", "InvalidArgument", "messages[0].role"),
        ("Chat", """{"messages":[{"role":"user"}]}""", "InvalidArgument", "messages[0].content"),
        ("Chat", """{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}""", "InvalidArgument", "messages"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"messages":1}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"tokenize":true}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"chat_template":"x"}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"Upper":1}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"a.b":1}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"chat":{"templateArguments":{"list":[1]}}}""", "InvalidArgument", "chat.template_arguments"),
        ("Chat", """{"messages":[{"role":"user","content":"LONG"}]}""", "InvalidArgument", ""),
        ("Chat", """{"messages":[{"role":"user","content":"a"}],"model":"none"}""", "NotFound", ""),
        ("Tokenize", """{"text":"a","model":"none"}""", "NotFound", ""), ("Tokenize", """{"chat":{"messages":[{}]}}""", "InvalidArgument", "messages[0].role"),
        ("Detokenize", """{"tokenIds":[260]}""", "InvalidArgument", "token_ids"), ("Detokenize", """{"tokenIds":[1],"model":"none"}""", "NotFound", ""),
        ("Abort", """{"requestId":"nobody"}""", "NotFound", ""), ("Abort", "{}", "InvalidArgument", "request_id"),
    ];

    /// <summary>Every case.</summary>
    public static IReadOnlyList<(string Method, string Body, string Code, string Field)> All { get; } =
    [
        .. RejectionTests.BadOptions().SelectMany(row => new[]
        {
            ("Generate", $"{{{(row.Data.Item1 == "options.stop.max_tokens" ? LongText : Text)},\"options\":{row.Data.Item2}}}", "InvalidArgument", row.Data.Item1),
            ("Chat", $"{{{Chat},\"options\":{row.Data.Item2}}}", "InvalidArgument", row.Data.Item1),
        }),
        .. Forms.SelectMany(row => new[]
        {
            ("Generate", $"{{{Text},\"options\":{{\"form\":{row.Form}}}}}", "", row.Field), ("Chat", $"{{{Chat},\"options\":{{\"form\":{row.Form}}}}}", "", row.Field),
        }),
        .. Others,
    ];

    /// <summary>The message of a case.</summary>
    public static IMessage Message(string method, string body)
    {
        string json = body.Replace("LONG", new string('x', 600), StringComparison.Ordinal);
        return method switch
        {
            "Generate" => GenerateRequest.Parser.ParseJson(json),
            "Chat" => ChatRequest.Parser.ParseJson(json),
            "Tokenize" => TokenizeRequest.Parser.ParseJson(json),
            "Detokenize" => DetokenizeRequest.Parser.ParseJson(json),
            _ => AbortRequest.Parser.ParseJson(json),
        };
    }
}
