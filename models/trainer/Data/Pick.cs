namespace ModelServe.Trainer.Data;

/// <summary>Small random choices from a seeded generator.</summary>
internal static class Pick
{
    private static readonly string[] Onsets =
        ["b", "br", "c", "d", "f", "g", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "w", "z"];

    private static readonly string[] Vowels = ["a", "e", "i", "o", "u", "ia", "ea", "y"];

    private static readonly string[] Codas = ["", "", "", "n", "r", "l", "s", "th", "m", "x", "ck"];

    public static T One<T>(Random random, IReadOnlyList<T> items) => items[random.Next(items.Count)];

    /// <summary>A string of letters; a small alphabet now and then, so that letters repeat.</summary>
    public static string Letters(Random random, int min, int max)
    {
        int length = random.Next(min, max + 1);
        int alphabet = random.Next(4) == 0 ? random.Next(3, 8) : 26;
        int offset = random.Next(26);
        return string.Create(length, (random, alphabet, offset), static (span, state) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = (char)('a' + ((state.offset + (state.random.Next(state.alphabet) * 7)) % 26));
            }
        });
    }

    /// <summary>An invented word of two or three syllables with a capital.</summary>
    public static string Invented(Random random)
    {
        string word = "";
        for (int i = random.Next(2, 4); i > 0; i--)
        {
            word += One(random, Onsets) + One(random, Vowels) + (i == 1 ? One(random, Codas) : "");
        }

        return char.ToUpperInvariant(word[0]) + word[1..];
    }

    /// <summary>A number with exactly so many digits; one digit may be zero.</summary>
    public static int Number(Random random, int digits) => digits switch
    {
        1 => random.Next(0, 10),
        2 => random.Next(10, 100),
        _ => random.Next(100, 1000),
    };
}
