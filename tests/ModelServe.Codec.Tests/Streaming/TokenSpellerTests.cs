using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using CsCheck;
using ModelServe.Codec.Streaming;
using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Streaming;

public sealed class TokenSpellerTests
{
    public static TheoryData<string> Names => [.. Directory.GetDirectories(Root).Select(path => Path.GetFileName(path)).Order()];

    private static string Root => Path.Combine(AppContext.BaseDirectory, "Synthetic", "cases");

    [Theory]
    [MemberData(nameof(Names))]
    public void The_bytes_of_the_tokens_are_the_bytes_of_the_text(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        int compared = 0;
        foreach (int[] ids in References(name))
        {
            foreach (bool skip in (bool[])[false, true])
            {
                byte[] bytes = Bytes(tokenizer, ids, skip);
                string text = tokenizer.DecodeIds(ids, skip);
                if (Utf8.IsValid(bytes))
                {
                    Assert.Equal(text, Encoding.UTF8.GetString(bytes));
                    compared++;
                }
                else
                {
                    Assert.Contains('\uFFFD', text);
                }
            }
        }
        Assert.True(compared > 300, $"{compared} compared");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_offset_counts_the_characters_before_the_token(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        foreach (int[] ids in References(name))
        {
            TokenSpeller speller = tokenizer.CreateSpeller(skipSpecialTokens: true);
            for (int index = 0; index < ids.Length; index++)
            {
                byte[] before = Bytes(tokenizer, ids[..index], skip: true);
                if (Utf8.IsValid(before))
                {
                    Assert.Equal(Encoding.UTF8.GetString(before).EnumerateRunes().Count(), speller.Offset);
                }
                speller.Advance(ids[index]);
            }
        }
    }

    [Fact]
    public void A_token_that_is_part_of_a_character_reads_as_its_bytes()
    {
        using var checkpoint = new TestCheckpoint();
        HfTokenizer tokenizer = checkpoint.Load();
        TokenSpelling part = tokenizer.Spell(0xF0);
        Assert.Equal("\\xf0", part.Text);
        Assert.Equal([0xF0], part.Bytes.ToArray());
        Assert.False(part.IsWhole);
        TokenSpeller speller = tokenizer.CreateSpeller(skipSpecialTokens: true);
        var offsets = new List<int>();
        foreach (int id in (int[])['a', 0xF0, 0x9F, 0x98, 0x80, 'b'])
        {
            offsets.Add(speller.Offset);
            speller.Advance(id);
        }
        Assert.Equal([0, 1, 1, 1, 1, 2], offsets);
        Assert.Equal(3, speller.Offset);
    }

    [Fact]
    public void A_byte_fallback_token_reads_as_its_byte_and_an_ASCII_one_as_its_character()
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, "llama"));
        TokenSpelling high = tokenizer.Spell(tokenizer.FindToken("<0xE4>")!.Value);
        TokenSpelling line = tokenizer.Spell(tokenizer.FindToken("<0x0A>")!.Value);
        Assert.Equal(("\\xe4", false), (high.Text, high.IsWhole));
        Assert.Equal([0xE4], high.Bytes.ToArray());
        Assert.Equal(("\n", true), (line.Text, line.IsWhole));
    }

    [Fact]
    public void The_first_word_of_a_SentencePiece_text_has_no_space()
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, "llama"));
        int the = tokenizer.FindToken("▁the")!.Value;
        TokenSpeller speller = tokenizer.CreateSpeller(skipSpecialTokens: true);
        Assert.Equal("the", speller.Spell(the).Text);
        speller.Advance(tokenizer.FindToken("<s>")!.Value);
        Assert.Equal("the", speller.Spell(the).Text);
        speller.Advance(the);
        Assert.Equal(" the", speller.Spell(the).Text);
        Assert.Equal(3, speller.Offset);
    }

    [Fact]
    public void A_special_token_has_text_and_takes_room_only_where_the_answer_shows_it()
    {
        using var checkpoint = new TestCheckpoint();
        HfTokenizer tokenizer = checkpoint.Load();
        int end = tokenizer.FindToken("<|im_end|>")!.Value;
        Assert.Equal(("<|im_end|>", true), (tokenizer.Spell(end).Text, tokenizer.Spell(end).IsSpecial));
        TokenSpeller hidden = tokenizer.CreateSpeller(skipSpecialTokens: true);
        TokenSpeller shown = tokenizer.CreateSpeller(skipSpecialTokens: false);
        hidden.Advance(end);
        shown.Advance(end);
        Assert.Equal((0, 10), (hidden.Offset, shown.Offset));
    }

    [Fact]
    public void An_id_without_a_token_reads_as_nothing_and_a_negative_one_is_refused()
    {
        using var checkpoint = new TestCheckpoint();
        HfTokenizer tokenizer = checkpoint.Load();
        TokenSpelling nothing = tokenizer.Spell(tokenizer.VocabularySize + 7);
        Assert.Equal(("", true, 0), (nothing.Text, nothing.IsWhole, nothing.Bytes.Length));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Spell(-1));
    }

    [Fact]
    public void A_token_that_was_asked_for_before_costs_no_allocation()
    {
        using var checkpoint = new TestCheckpoint();
        HfTokenizer tokenizer = checkpoint.Load();
        TokenSpeller speller = tokenizer.CreateSpeller(skipSpecialTokens: true);
        speller.Advance('a');
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++)
            {
                speller.Advance('a');
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Random_ids_of_a_byte_level_model_give_their_bytes_back()
    {
        using var checkpoint = new TestCheckpoint();
        HfTokenizer tokenizer = checkpoint.Load();
        Gen.Int[0, tokenizer.VocabularySize - 1].Array[0, 12].Sample(
            ids => !Utf8.IsValid(Bytes(tokenizer, ids, skip: false))
                || Encoding.UTF8.GetString(Bytes(tokenizer, ids, skip: false)) == tokenizer.DecodeIds(ids, skipSpecialTokens: false));
    }

    private static byte[] Bytes(HfTokenizer tokenizer, int[] ids, bool skip)
    {
        TokenSpeller speller = tokenizer.CreateSpeller(skip);
        var bytes = new List<byte>();
        foreach (int id in ids)
        {
            TokenSpelling spelling = speller.Spell(id);
            if (!(skip && spelling.IsSpecial))
            {
                bytes.AddRange(spelling.Bytes.Span);
            }
            speller.Advance(id);
        }
        return [.. bytes];
    }

    /// <summary>What the reference library encoded, and random ids; the shorter ones.</summary>
    private static IEnumerable<int[]> References(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Root, name, "expected.json")));
        JsonElement root = document.RootElement;
        IEnumerable<JsonElement> lists = root.GetProperty("cases").EnumerateArray().Select(item => item[1])
            .Concat(root.GetProperty("randomIds").EnumerateArray().Select(item => item[0]));
        return [.. lists.Select(list => list.EnumerateArray().Select(id => id.GetInt32()).ToArray()).Where(ids => ids.Length < 60)];
    }
}
