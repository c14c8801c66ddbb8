using System.Runtime.CompilerServices;
using Google.Protobuf;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>Finds fields that a newer client set and this server does not know, so that they are refused instead of ignored.</summary>
/// <remarks>The generated classes keep unknown fields in a private field and offer no reader for it; hence the accessors.</remarks>
internal static class UnknownFields
{
    /// <summary>Checks a request and every message inside it.</summary>
    public static Rejection? Find(GenerateRequest request) =>
        Refuse("GenerateRequest", Of(request)) ?? Find(request.TokenIds) ?? Find(request.Options);

    /// <summary>Checks a request and every message inside it.</summary>
    public static Rejection? Find(ChatRequest request) =>
        Refuse("ChatRequest", Of(request)) ?? Find(request.Messages) ?? Find(request.Chat) ?? Find(request.Options);

    /// <summary>Checks a request and every message inside it.</summary>
    public static Rejection? Find(TokenizeRequest request) =>
        Refuse("TokenizeRequest", Of(request)) ?? (request.Chat is null
            ? null
            : Refuse("Conversation", Of(request.Chat)) ?? Find(request.Chat.Messages) ?? Find(request.Chat.Chat));

    /// <summary>Checks a request.</summary>
    public static Rejection? Find(DetokenizeRequest request) => Refuse("DetokenizeRequest", Of(request));

    private static Rejection? Find(TokenIds? ids) => ids is null ? null : Refuse("TokenIds", Of(ids));

    private static Rejection? Find(ChatOptions? options) => options is null ? null : Refuse("ChatOptions", Of(options));

    private static Rejection? Find(GenerationOptions? options) => options is null
        ? null
        : Refuse("GenerationOptions", Of(options))
            ?? (options.Sampling is null ? null : Refuse("SamplingParameters", Of(options.Sampling)))
            ?? (options.Stop is null ? null : Refuse("StopConditions", Of(options.Stop)));

    private static Rejection? Find(IEnumerable<ChatMessage> messages)
    {
        foreach (ChatMessage message in messages)
        {
            if (Refuse("ChatMessage", Of(message)) is { } rejection)
            {
                return rejection;
            }

            foreach (ToolCall call in message.ToolCalls)
            {
                if (Refuse("ToolCall", Of(call)) is { } inside)
                {
                    return inside;
                }
            }
        }

        return null;
    }

    /// <summary>Refuses the first field that a message has and this server does not know.</summary>
    internal static Rejection? Refuse(string message, UnknownFieldSet? fields)
    {
        if (fields is null || fields.CalculateSize() == 0)
        {
            return null;
        }

        var bytes = new byte[fields.CalculateSize()];
        using (var output = new CodedOutputStream(bytes))
        {
            fields.WriteTo(output);
        }

        using var input = new CodedInputStream(bytes);
        int number = WireFormat.GetTagFieldNumber(input.ReadTag());
        return new Rejection(
            RejectionReason.Unsupported, message, "only fields that this server knows", $"field number {number}");
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(GenerateRequest message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(ChatRequest message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(TokenizeRequest message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(DetokenizeRequest message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(Conversation message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(TokenIds message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(ChatOptions message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(ChatMessage message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(ToolCall message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(GenerationOptions message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(SamplingParameters message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(StopConditions message);
}
