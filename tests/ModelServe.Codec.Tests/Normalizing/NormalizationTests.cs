using System.Text;
using ModelServe.Codec.Normalizing;
using Xunit;

namespace ModelServe.Codec.Tests.Normalizing;

/// <summary>The normalization forms and lower case against the reference library, and against the standard's own identities.</summary>
public sealed class NormalizationTests
{
    private static readonly (int First, int Last)[] Pools =
    [
        (0x41, 0x5A), (0xC0, 0x24F), (0x300, 0x36F), (0x300, 0x36F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE30, 0xFFF), (0x1100, 0x11FF), (0x1AB0, 0x1AFF),
        (0x1DC0, 0x1FFF), (0x20D0, 0x218F), (0x3040, 0x33FF), (0xAC00, 0xD7A3), (0xF900, 0xFFEF), (0x10A00, 0x10A4F), (0x11000, 0x116FF),
        (0x1D150, 0x1D1AD), (0x2F800, 0x2FA1F),
    ];

    // Printed by tests/oracles/normalization.mjs.
    [Theory]
    [InlineData("FormC", 0x57904A32, 0x14895FCB)]
    [InlineData("FormD", 0x77DB8631, 0x11413889)]
    [InlineData("FormKC", 0x650BAD56, 0xF264A26F)]
    [InlineData("FormKD", 0xF072FCA6, 0xEF0709D4)]
    [InlineData("Lower", 0x2CF52DDD, 0xAEEEB032)]
    public void All_code_points_and_200000_strings_hash_as_the_reference_library_s(string step, uint codePoints, uint strings)
    {
        ITextNormalizer normalizer = Enum.TryParse(step, out NormalizationForm form) ? new UnicodeFormNormalizer(form) : new LowerCase();
        Assert.Equal(codePoints, Hash(CodePoints().Select(text => normalizer.Normalize("a" + text))));
        Assert.Equal(strings, Hash(Strings(200_000).Select(normalizer.Normalize)));
    }

    /// <summary>The identities of the standard's conformance test (UAX #15), for strings instead of its fixed list.</summary>
    [Fact]
    public void The_forms_agree_with_each_other()
    {
        var c = new UnicodeFormNormalizer(NormalizationForm.FormC);
        var d = new UnicodeFormNormalizer(NormalizationForm.FormD);
        var kc = new UnicodeFormNormalizer(NormalizationForm.FormKC);
        var kd = new UnicodeFormNormalizer(NormalizationForm.FormKD);
        foreach (string text in Strings(20_000).Concat(CodePoints().Where((_, index) => index % 7 == 0)))
        {
            string composed = c.Normalize(text);
            string decomposed = d.Normalize(text);
            Assert.Equal(composed, c.Normalize(composed));
            Assert.Equal(composed, c.Normalize(decomposed));
            Assert.Equal(decomposed, d.Normalize(composed));
            Assert.Equal(decomposed, d.Normalize(decomposed));
            string compatible = kc.Normalize(text);
            string taken = kd.Normalize(text);
            Assert.Equal(compatible, kc.Normalize(composed));
            Assert.Equal(compatible, kc.Normalize(decomposed));
            Assert.Equal(compatible, kc.Normalize(taken));
            Assert.Equal(taken, kd.Normalize(compatible));
            Assert.Equal(compatible, c.Normalize(compatible));
        }
    }

    [Theory]
    [InlineData(NormalizationForm.FormC, "Zwei Ueberfluesse: ÄÖÜ, naïve café")]
    [InlineData(NormalizationForm.FormD, "plain ASCII")]
    [InlineData(NormalizationForm.FormKC, "今天天气很好 한국어 русский \U0001F600")]
    public void Text_in_its_form_comes_back_as_the_same_object(NormalizationForm form, string text) =>
        Assert.Same(text, new UnicodeFormNormalizer(form).Normalize(text));

    [Fact]
    public void Many_marks_on_one_letter_are_ordered_and_take_linear_time()
    {
        string text = "a" + string.Concat(Enumerable.Repeat("\u0301\u0323", 50_000));
        string expected = "\u1EA1" + new string('\u0323', 49_999) + new string('\u0301', 50_000);
        Assert.Equal(expected, new UnicodeFormNormalizer(NormalizationForm.FormC).Normalize(text));
    }

    [Fact]
    public void Half_a_surrogate_pair_stays_as_it_is() =>
        Assert.Equal("\u00E9\uD800x", new UnicodeFormNormalizer(NormalizationForm.FormC).Normalize("e\u0301\uD800x"));

    private static IEnumerable<string> CodePoints() =>
        Enumerable.Range(0, 0x110000).Where(Rune.IsValid).Select(char.ConvertFromUtf32);

    private static IEnumerable<string> Strings(int count)
    {
        var random = new Mulberry(9);
        var text = new StringBuilder();
        for (; count > 0; count--)
        {
            text.Clear();
            for (int left = 1 + random.Below(8); left > 0; left--)
            {
                (int first, int last) = Pools[random.Below(Pools.Length)];
                text.Append(new Rune(first + random.Below(last - first + 1)));
            }
            yield return text.ToString();
        }
    }

    private static uint Hash(IEnumerable<string> texts)
    {
        uint mixed = 0x811C9DC5;
        foreach (string text in texts)
        {
            foreach (Rune rune in text.EnumerateRunes())
            {
                mixed = (mixed ^ (uint)rune.Value) * 0x01000193;
            }
            mixed = (mixed ^ 0x110000) * 0x01000193;
        }
        return mixed;
    }
}
