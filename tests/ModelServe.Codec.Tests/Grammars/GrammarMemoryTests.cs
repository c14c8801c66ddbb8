using System.Collections.Frozen;
using System.Text;
using ModelServe.Codec.Grammars;
using Xunit;

namespace ModelServe.Codec.Tests.Grammars;

/// <summary>What a grammar keeps of the texts that follow it: the same masks whoever follows, bounded work, bounded memory, no waste.</summary>
public sealed class GrammarMemoryTests
{
    private const string Schema =
        """{"type":"object","properties":{"name":{"type":"string","minLength":2,"maxLength":20},"tags":{"type":"array","items":{"type":"string"}},"n":{"type":"integer"}},"required":["name"]}""";

    private const string Text = """{"name": "a name é", "tags": ["x", "\u0041y"], "n": 12, "free": {"a": [1.5, null]}}""";

    private static readonly string[] Words = ["{\"", "\": ", "\", \"", "name", "\"}", "a ", "\"]", "]}", "}}", "tags", " [", "null", "éé", "nam", "\\u00"];

    private static readonly TokenTrie Trie = new(
        [.. Enumerable.Range(0, 256).Select(i => new[] { (byte)i }), .. Words.Select(Encoding.UTF8.GetBytes)], FrozenDictionary<int, byte[]>.Empty, 256 + 64);

    [Fact]
    public void A_grammar_that_may_keep_nothing_gives_the_masks_of_one_that_keeps_all() =>
        Assert.Equal(Masks(Compile(new GrammarLimits())), Masks(Compile(new GrammarLimits { BytesKept = 0 })));

    [Fact]
    public void A_grammar_forgets_places_beyond_its_limit_of_memory()
    {
        CompiledGrammar grammar = Compile(new GrammarLimits { BytesKept = 20_000 });
        long most = 0;
        GrammarMatcher matcher = grammar.CreateMatcher();
        uint[] mask = new uint[Trie.MaskWords];
        foreach (byte value in Encoding.UTF8.GetBytes(Text))
        {
            matcher.FillMask(mask);
            Assert.True(matcher.TryAccept(value));
            most = Math.Max(most, grammar.BytesKept);
        }

        Assert.InRange(most, 10_000, 60_000);
    }

    [Fact]
    public void Texts_that_follow_one_grammar_at_the_same_time_get_the_masks_of_one_alone()
    {
        string[] expected = Masks(Compile(new GrammarLimits()));
        for (int round = 0; round < 20; round++)
        {
            CompiledGrammar grammar = Compile(new GrammarLimits { BytesKept = round % 2 == 0 ? 4 << 20 : 5_000 });
            string[][] got = new string[4][];
            Parallel.For(0, got.Length, i => got[i] = Masks(grammar));
            Assert.All(got, masks => Assert.Equal(expected, masks));
        }
    }

    [Fact]
    public void A_mask_that_takes_too_much_work_is_an_error_by_name()
    {
        GrammarMatcher matcher = Compile(new GrammarLimits { MaskWork = 100 }).CreateMatcher();
        Assert.True(matcher.TryAccept("{\"name\": \"ab\", \"free"u8));
        var thrown = Assert.Throws<InvalidGrammarException>(() => matcher.FillMask(new uint[Trie.MaskWords]));
        Assert.Contains("takes more than 100 steps of work", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_work_of_a_mask_does_not_depend_on_what_was_met_before()
    {
        // The least limit at which the text passes is the same for a fresh grammar and for one that met half of the text.
        int fresh = LeastLimit(warm: false);
        Assert.Equal(fresh, LeastLimit(warm: true));
    }

    [Fact]
    public void A_place_met_before_is_found_by_look_ups_alone_and_allocates_nothing()
    {
        CompiledGrammar grammar = Compile(new GrammarLimits());
        GrammarMatcher first = grammar.CreateMatcher();
        Assert.False(first.TryAcceptPrepared('{'));
        byte[] text = Encoding.UTF8.GetBytes(Text);
        uint[] mask = new uint[Trie.MaskWords];
        foreach (byte value in text)
        {
            first.FillMask(mask);
            Assert.True(first.TryAccept(value));
        }

        first.FillMask(mask);
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            GrammarMatcher second = grammar.CreateMatcher();
            bool all = true;
            long before = GC.GetAllocatedBytesForCurrentThread();
            foreach (byte value in text)
            {
                all &= second.TryAcceptPrepared(value) && second.IsPrepared;
                second.FillMask(mask);
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(all && second.IsComplete);
            return allocated;
        }
    }

    [Fact]
    public void A_token_that_is_not_allowed_is_not_taken_by_look_ups_either()
    {
        CompiledGrammar grammar = Compile(new GrammarLimits());
        GrammarMatcher matcher = grammar.CreateMatcher();
        Assert.False(matcher.TryAccept((int)'x'));
        Assert.False(matcher.TryAcceptPrepared('x'));
        Assert.True(matcher.TryAccept((int)'{'));
    }

    private static int LeastLimit(bool warm)
    {
        for (int limit = 1; ; limit += 7)
        {
            CompiledGrammar grammar = Compile(new GrammarLimits { MaskWork = limit });
            if (warm)
            {
                Passes(grammar, Text[..(Text.Length / 2)]);
            }

            if (Passes(grammar, Text))
            {
                return limit;
            }
        }
    }

    private static bool Passes(CompiledGrammar grammar, string text)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        uint[] mask = new uint[Trie.MaskWords];
        try
        {
            foreach (byte value in Encoding.UTF8.GetBytes(text))
            {
                matcher.FillMask(mask);
                matcher.TryAccept(value);
            }

            return true;
        }
        catch (InvalidGrammarException)
        {
            return false;
        }
    }

    private static string[] Masks(CompiledGrammar grammar)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        uint[] mask = new uint[Trie.MaskWords];
        var masks = new List<string>();
        foreach (byte value in Encoding.UTF8.GetBytes(Text))
        {
            matcher.FillMask(mask);
            masks.Add(Convert.ToHexString(System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(mask)));
            Assert.True(matcher.TryAcceptPrepared(value) || matcher.TryAccept(value));
        }

        Assert.True(matcher.IsComplete);
        return [.. masks];
    }

    private static CompiledGrammar Compile(GrammarLimits limits) => new GrammarCompiler(Trie, limits).JsonSchema(Schema);
}
