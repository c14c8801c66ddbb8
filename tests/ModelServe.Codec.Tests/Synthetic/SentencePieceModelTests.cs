using System.Text.Json;
using Xunit;

namespace ModelServe.Codec.Tests.Synthetic;

/// <summary>
/// Small SentencePiece models trained for these tests against the ids of the SentencePiece library itself. Models and expectations are
/// written by tests/oracles/sentencepiece_models.py.
/// </summary>
public sealed class SentencePieceModelTests
{
    private static string Root => Path.Combine(AppContext.BaseDirectory, "Synthetic", "models");

    [Theory]
    [InlineData("bpe")]
    [InlineData("bpe_symbols")]
    [InlineData("bpe_unknown")]
    [InlineData("unigram")]
    [InlineData("unigram_bytes")]
    public void A_model_gives_the_ids_of_the_SentencePiece_library(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Root, name, "expected.json")));
        int strings = 0;
        foreach (JsonElement item in expected.RootElement.EnumerateArray())
        {
            string text = item[0].GetString()!;
            int[] wanted = [.. item[1].EnumerateArray().Select(id => id.GetInt32())];
            int[] found = tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: false);
            Assert.True(wanted.AsSpan().SequenceEqual(found), $"{name}: {JsonSerializer.Serialize(text)}\nwanted {string.Join(' ', wanted)}\nfound  {string.Join(' ', found)}");
            strings++;
        }
        Assert.Equal(200, strings);
    }

    [Theory]
    [InlineData("bpe", "  a Zażółć 😀\n\nx ")]
    [InlineData("bpe_symbols", "<tool>\n\n  a Zażółć 😀 ")]
    [InlineData("unigram_bytes", "<tool>\n\n  a Zażółć 😀 ")]
    public void A_model_with_bytes_gives_every_text_back(string name, string text)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        int[] ids = tokenizer.EncodeIds(text, addSpecialTokens: true, parseSpecialTokens: false);
        Assert.Equal(tokenizer.FindToken("<s>"), ids[0]);
        Assert.Equal(text, tokenizer.DecodeIds(ids, skipSpecialTokens: true));
    }

    [Theory]
    [InlineData("bpe")]
    [InlineData("unigram")]
    public void A_control_piece_in_user_text_stays_text(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        int id = tokenizer.FindToken("</s>")!.Value;
        Assert.DoesNotContain(id, tokenizer.EncodeIds("a</s>b", addSpecialTokens: false, parseSpecialTokens: false));
        Assert.Contains(id, tokenizer.EncodeIds("a</s>b", addSpecialTokens: false, parseSpecialTokens: true));
    }
}
