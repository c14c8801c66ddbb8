using System.Buffers;
using System.Diagnostics;
using System.Text;
using CsCheck;
using Microsoft.ML.Tokenizers;
using ModelServe.Codec.Streaming;
using Xunit;

namespace ModelServe.Codec.Tests.Tokenizing;

public sealed class HfTokenizerTests : IDisposable
{
    private readonly TestCheckpoint _checkpoint = new();

    public void Dispose() => _checkpoint.Dispose();

    [Fact]
    public void Decoding_what_was_encoded_gives_the_text_back()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        Gen.String.Sample(text =>
        {
            string seen = new([.. text.EnumerateRunes().SelectMany(rune => rune.ToString())]);
            return tokenizer.DecodeIds(tokenizer.EncodeIds(text, false, false), skipSpecialTokens: false) == seen;
        });
    }

    [Fact]
    public void A_streamed_text_is_the_whole_text_wherever_it_is_cut()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        Gen.Select(Gen.Int[0, tokenizer.VocabularySize - 1].Array[0, 40], Gen.Bool).Sample((ids, skip) =>
        {
            var output = new StringBuilder();
            var decoder = tokenizer.CreateDecoder(skip);
            foreach (int id in ids)
            {
                decoder.Append(id, output);
            }
            decoder.Flush(output);
            return output.ToString() == tokenizer.DecodeIds(ids, skip);
        });
    }

    [Fact]
    public void User_text_never_becomes_a_special_token()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        Gen<string> part = Gen.OneOf("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|", "im_end", "|>", "<", " ", "a", "<tool>");
        part.Array[0, 12].Select(parts => string.Concat(parts)).Sample(text =>
            tokenizer.EncodeIds(text, true, parseSpecialTokens: false).All(id => !tokenizer.IsSpecial(id)) &&
            tokenizer.DecodeIds(tokenizer.EncodeIds(text, false, false), false) == text);
    }

    [Fact]
    public void Control_tokens_in_text_are_recognised_only_when_asked_for()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        int end = tokenizer.FindToken("<|im_end|>")!.Value;
        Assert.Contains(end, tokenizer.EncodeIds("a<|im_end|>", false, parseSpecialTokens: true));
        Assert.DoesNotContain(end, tokenizer.EncodeIds("a<|im_end|>", false, parseSpecialTokens: false));
    }

    [Fact]
    public void A_control_token_never_covers_a_protected_char()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        int end = tokenizer.FindToken("<|im_end|>")!.Value;
        const string Text = "<|im_end|><|im_end|>";
        Assert.Equal(2, tokenizer.EncodeIds(Text, false, true).Count(id => id == end));
        Assert.Equal(1, tokenizer.EncodeIds(Text, false, true, [0]).Count(id => id == end));
        Assert.Equal(0, tokenizer.EncodeIds(Text, false, true, [9, 10]).Count(id => id == end));
    }

    [Fact]
    public void An_unused_or_padded_id_has_no_text()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        Assert.Null(tokenizer.TokenText(tokenizer.VocabularySize));
        Assert.Equal("", tokenizer.DecodeIds([tokenizer.VocabularySize + 5], false));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.DecodeIds([-1], false));
    }

    [Fact]
    public void A_lone_surrogate_counts_as_the_replacement_character()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        Assert.Equal(tokenizer.EncodeIds("a\uFFFDb", false, false), tokenizer.EncodeIds("a\uD800b", false, false));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("中")]
    [InlineData("ab")]
    [InlineData(" ")]
    public void A_hundred_thousand_chars_in_one_word_take_no_quadratic_time(string unit)
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        string text = string.Concat(Enumerable.Repeat(unit, 100_000 / unit.Length));
        tokenizer.EncodeIds(text[..1000], false, false);
        long started = Stopwatch.GetTimestamp();
        int[] ids = tokenizer.EncodeIds(text, false, false);
        // Quadratic engines take ten seconds and more here; the bound leaves room for a busy machine.
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(3));
        Assert.Equal(text, tokenizer.DecodeIds(ids, false));
    }

    [Fact]
    public void Threads_that_share_a_tokenizer_get_the_same_ids()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        string[] texts = [.. Enumerable.Range(0, 400).Select(number => $"hello wo aaaa {number * 7919 % 1000} é{number % 13}")];
        int[][] wanted = [.. texts.Select(text => _checkpoint.Load().EncodeIds(text, false, false))];
        Parallel.For(0, 4000, number => Assert.Equal(wanted[number % 400], tokenizer.EncodeIds(texts[number % 400], false, false)));
    }

    [Fact]
    public void Tokens_of_the_base_class_carry_their_ranges()
    {
        Tokenizer tokenizer = _checkpoint.Load();
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens("hello wo 中", out string? normalized);
        Assert.Null(normalized);
        Assert.Equal(["hello", "Ġwo", "Ġ", "ä", "¸", "Ń"], tokens.Select(token => token.Value));
        Assert.Equal([0..5, 5..8, 8..9, 9..10, 9..10, 9..10], tokens.Select(token => token.Offset));
    }

    [Fact]
    public void The_base_class_counts_and_cuts_by_tokens()
    {
        Tokenizer tokenizer = _checkpoint.Load();
        Assert.Equal(3, tokenizer.CountTokens("hello wo!"));
        Assert.Equal(8, tokenizer.GetIndexByTokenCount("hello wo!", 2, out _, out int counted));
        Assert.Equal(2, counted);
        Assert.Equal(5, tokenizer.GetIndexByTokenCountFromEnd("hello wo!", 2, out _, out _));
        Assert.Equal([tokenizer.EncodeToIds("hello")[0]], tokenizer.EncodeToIds("hello wo!", 1, out _, out int consumed));
        Assert.Equal(5, consumed);
        Assert.Equal("hello wo!", tokenizer.Decode(tokenizer.EncodeToIds("hello wo!")));
    }

    [Fact]
    public void Span_decoding_leaves_an_incomplete_character_out()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        int[] ids = tokenizer.EncodeIds("a中", false, false);
        Span<char> text = stackalloc char[8];
        Assert.Equal(OperationStatus.NeedMoreData, tokenizer.Decode(ids[..^1], text, out int consumed, out int written));
        Assert.Equal((1, 1), (consumed, written));
        Assert.Equal(OperationStatus.Done, tokenizer.Decode(ids, text, out consumed, out written));
        Assert.Equal("a中", text[..written].ToString());
        Assert.Equal(OperationStatus.DestinationTooSmall, tokenizer.Decode(ids, text[..1], out consumed, out written));
        Assert.Equal((1, 1), (consumed, written));
    }

    [Fact]
    public void Decoding_allocates_nothing_per_token_once_warm()
    {
        HfTokenizer tokenizer = _checkpoint.Load();
        int[] ids = tokenizer.EncodeIds("hello wo 中文 é😀 and so on, <|im_end|>", false, true);
        var decoder = tokenizer.CreateDecoder(skipSpecialTokens: true);
        var output = new StringBuilder(1 << 16);
        for (int round = 0; round < 20; round++)
        {
            DecodeAll(decoder, ids, output);
        }
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            output.Clear();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int round = 0; round < 100; round++)
            {
                DecodeAll(decoder, ids, output);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private static void DecodeAll(IncrementalDecoder decoder, int[] ids, StringBuilder output)
    {
        foreach (int id in ids)
        {
            decoder.Append(id, output);
        }
        decoder.Flush(output);
    }
}
