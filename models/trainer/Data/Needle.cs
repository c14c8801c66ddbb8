using System.Text;

namespace ModelServe.Trainer.Data;

/// <summary>A quoted code word among filler sentences, asked for at the end.</summary>
internal static class Needle
{
    private static readonly string[] Questions =
        [" What is the code word?", " What is the code word?", " Repeat the code word.", " Tell me the code word."];

    /// <summary>Makes a needle question with so many filler sentences around it.</summary>
    public static Problem Make(Random random, int sentences)
    {
        string code = Pick.Letters(random, 4, 6);
        int place = random.Next(sentences + 1);
        StringBuilder text = new();
        for (int i = 0; i <= sentences; i++)
        {
            if (i == place)
            {
                Append(text, $"The code word is \"{code}\".");
            }

            if (i < sentences)
            {
                Append(text, Filler(random));
            }
        }

        return new("needle", "code:" + code, text.Append(Pick.One(random, Questions)).ToString(), code);
    }

    public static string Filler(Random random) =>
        $"{Pick.One(random, Words.Subjects)} {Pick.One(random, Words.Verbs)} {Pick.One(random, Words.Objects)}{Pick.One(random, Words.Times)}.";

    private static void Append(StringBuilder text, string sentence) => text.Append(text.Length == 0 ? "" : " ").Append(sentence);
}
