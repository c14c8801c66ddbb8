using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>The arithmetic of Hangul: a syllable is a leading consonant, a vowel, and possibly a final consonant. Pure functions.</summary>
internal static class HangulSyllables
{
    /// <summary>The first vowel that composes.</summary>
    public const int FirstVowel = 0x1161;

    /// <summary>The last vowel that composes.</summary>
    public const int LastVowel = FirstVowel + Vowels - 1;

    /// <summary>The first final consonant.</summary>
    public const int FirstFinal = NoFinal + 1;

    /// <summary>The last final consonant that composes.</summary>
    public const int LastFinal = NoFinal + Finals - 1;

    private const int FirstSyllable = 0xAC00;
    private const int FirstLead = 0x1100;
    private const int NoFinal = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Finals = 28;

    /// <summary>Whether the code point is a syllable.</summary>
    public static bool Contains(int code) => (uint)(code - FirstSyllable) < Leads * Vowels * Finals;

    /// <summary>Whether a form leaves syllables whole.</summary>
    public static bool AreNormalized(NormalizationForm form) => form is NormalizationForm.FormC or NormalizationForm.FormKC;

    /// <summary>The two or three letters of a syllable; gives their number.</summary>
    public static int Decompose(int syllable, Span<int> letters)
    {
        int index = syllable - FirstSyllable;
        letters[0] = FirstLead + (index / (Vowels * Finals));
        letters[1] = FirstVowel + (index / Finals % Vowels);
        letters[2] = NoFinal + (index % Finals);
        return letters[2] == NoFinal ? 2 : 3;
    }

    /// <summary>The syllable of a consonant and a vowel, or of an open syllable and a final consonant; -1 where there is none.</summary>
    public static int Compose(int first, int second)
    {
        if ((uint)(first - FirstLead) < Leads && (uint)(second - FirstVowel) < Vowels)
        {
            return FirstSyllable + ((((first - FirstLead) * Vowels) + second - FirstVowel) * Finals);
        }
        bool open = Contains(first) && (first - FirstSyllable) % Finals == 0;
        return open && second is >= FirstFinal and <= LastFinal ? first + second - NoFinal : -1;
    }
}
