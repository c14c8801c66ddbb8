using System.Text;
using System.Text.Json;
using Xunit;

namespace ModelServe.Codec.Tests.Synthetic;

/// <summary>
/// Small made-up tokenizers, one for each feature of tokenizer.json, against the ids and texts that Hugging Face's own library gave
/// for them. Files and expectations are written by tests/oracles/synthetic.mjs.
/// </summary>
public sealed class SyntheticTokenizerTests
{
    public static TheoryData<string> Names => [.. Directory.GetDirectories(Root).Select(path => Path.GetFileName(path)).Order()];

    private static string Root => Path.Combine(AppContext.BaseDirectory, "Synthetic", "cases");

    [Theory]
    [MemberData(nameof(Names))]
    public void Encoding_gives_the_reference_ids(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        foreach (JsonElement item in Expected(name, "cases"))
        {
            string text = Input(item[0]);
            int[] wanted = Ids(item[1]);
            int[] found = tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: true);
            Assert.True(wanted.AsSpan().SequenceEqual(found), $"{name}: {JsonSerializer.Serialize(text)}\nwanted {string.Join(' ', wanted)}\nfound  {string.Join(' ', found)}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decoding_gives_the_reference_text_whole_and_streamed(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        foreach (JsonElement item in Expected(name, "cases"))
        {
            string decoded = item[2].ValueKind == JsonValueKind.String ? item[2].GetString()! : Input(item[0]);
            string skipped = item[3].ValueKind == JsonValueKind.String ? item[3].GetString()! : decoded;
            Check(tokenizer, name, Ids(item[1]), decoded, skipped);
        }
        foreach (JsonElement item in Expected(name, "randomIds"))
        {
            Check(tokenizer, name, Ids(item[0]), item[1].GetString()!, item[2].GetString()!);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_post_processor_adds_the_reference_ids(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        Assert.Equal(Ids(Document(name).GetProperty("added")), tokenizer.EncodeIds("", addSpecialTokens: true, parseSpecialTokens: false));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void User_text_never_becomes_a_special_token(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        int? unknown = tokenizer.FindToken("<unk>") ?? tokenizer.FindToken("[UNK]");
        foreach (JsonElement item in Expected(name, "cases"))
        {
            int[] ids = tokenizer.EncodeIds(Input(item[0]), addSpecialTokens: false, parseSpecialTokens: false);
            Assert.DoesNotContain(ids, id => tokenizer.IsSpecial(id) && id != unknown);
        }
    }

    private static void Check(HfTokenizer tokenizer, string name, int[] ids, string decoded, string skipped)
    {
        string message = $"{name}: {string.Join(' ', ids)}";
        Assert.True(tokenizer.DecodeIds(ids, skipSpecialTokens: false) == decoded, message);
        Assert.True(tokenizer.DecodeIds(ids, skipSpecialTokens: true) == skipped, message);
        var streamed = new StringBuilder();
        var decoder = tokenizer.CreateDecoder(skipSpecialTokens: false);
        foreach (int id in ids)
        {
            decoder.Append(id, streamed);
            Assert.False(streamed.Length > 0 && char.IsHighSurrogate(streamed[^1]), message);
        }
        decoder.Flush(streamed);
        Assert.True(streamed.ToString() == decoded, message);
    }

    private static JsonElement.ArrayEnumerator Expected(string name, string member) => Document(name).GetProperty(member).EnumerateArray();

    private static JsonElement Document(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Root, name, "expected.json")));
        return document.RootElement.Clone();
    }

    private static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];

    private static string Input(JsonElement value)
    {
        const string Raw = "base64:";
        string text = value.GetString()!;
        return text.StartsWith(Raw, StringComparison.Ordinal) ? Encoding.Unicode.GetString(Convert.FromBase64String(text[Raw.Length..])) : text;
    }
}
