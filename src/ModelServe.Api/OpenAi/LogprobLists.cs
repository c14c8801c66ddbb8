using System.Buffers;
using ModelServe.Codec.Streaming;

namespace ModelServe.Api.OpenAi;

/// <summary>The four lists of a completion's log probabilities, as they grow.</summary>
internal sealed class LogprobLists
{
    private readonly ArrayBufferWriter<byte> _tokens = new();
    private readonly ArrayBufferWriter<byte> _logprobs = new();
    private readonly ArrayBufferWriter<byte> _top = new();
    private readonly ArrayBufferWriter<byte> _offsets = new();
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private int _entries;

    /// <summary>Whether there is no entry.</summary>
    public bool IsEmpty => _entries == 0;

    /// <summary>Adds a token.</summary>
    /// <param name="speller">Stands before the token.</param>
    /// <param name="id">The token.</param>
    /// <param name="offset">Where it begins, in characters.</param>
    /// <param name="logprob">Its log probability; null for the first token of a text, of which there is none and there are no alternatives.</param>
    /// <param name="topIds">The alternatives, best first.</param>
    /// <param name="topLogprobs">Their log probabilities.</param>
    public void Add(
        TokenSpeller speller, int id, int offset, float? logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        if (_entries++ > 0)
        {
            foreach (ArrayBufferWriter<byte> list in (ReadOnlySpan<ArrayBufferWriter<byte>>)[_tokens, _logprobs, _top, _offsets])
            {
                list.Write(","u8);
            }
        }

        new JsonText(_tokens).String(speller.Spell(id).Text);
        new JsonText(_offsets).Number(offset);
        JsonText top = new(_top);
        if (logprob is not { } known)
        {
            new JsonText(_logprobs).Raw("null"u8);
            top.Raw("null"u8);
            return;
        }

        new JsonText(_logprobs).Number(known);
        top.Raw("{"u8);
        // Names are texts here: of tokens that read alike the likeliest stands for all.
        _seen.Clear();
        for (int i = 0; i < topIds.Length; i++)
        {
            string text = speller.Spell(topIds[i]).Text;
            if (_seen.Add(text))
            {
                top.Raw(_seen.Count > 1 ? ","u8 : ""u8);
                top.String(text);
                top.Raw(":"u8);
                top.Number(topLogprobs[i]);
            }
        }

        top.Raw("}"u8);
    }

    /// <summary>Writes the object and forgets the entries.</summary>
    public void Take(JsonText json)
    {
        json.Raw("{\"text_offset\":["u8);
        json.Raw(_offsets.WrittenSpan);
        json.Raw("],\"token_logprobs\":["u8);
        json.Raw(_logprobs.WrittenSpan);
        json.Raw("],\"tokens\":["u8);
        json.Raw(_tokens.WrittenSpan);
        json.Raw("],\"top_logprobs\":["u8);
        json.Raw(_top.WrittenSpan);
        json.Raw("]}"u8);
        _entries = 0;
        _tokens.ResetWrittenCount();
        _logprobs.ResetWrittenCount();
        _top.ResetWrittenCount();
        _offsets.ResetWrittenCount();
    }
}
