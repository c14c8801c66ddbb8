using System.Globalization;

namespace ModelServe.Trainer.Data;

/// <summary>Questions about the letters of one quoted string, and about the order of a few numbers.</summary>
internal static class Strings
{
    private static readonly string[] ReverseForms =
        ["Reverse \"{0}\".", "Reverse \"{0}\".", "Reverse the string \"{0}\".", "Reverse the word \"{0}\".", "Spell \"{0}\" backwards."];

    private static readonly string[] SortForms =
        ["Sort the letters of \"{0}\".", "Sort the letters in \"{0}\".", "Put the letters of \"{0}\" in order."];

    private static readonly string[] UpperForms =
        ["Uppercase \"{0}\".", "Uppercase \"{0}\".", "Write \"{0}\" in uppercase.", "Convert \"{0}\" to uppercase."];

    private static readonly string[] CountForms =
    [
        "How many times does \"{1}\" occur in \"{0}\"?", "How many \"{1}\" are in \"{0}\"?", "Count the letter \"{1}\" in \"{0}\".",
    ];

    private static readonly string[] NumberForms =
        ["Sort the numbers {0}.", "Sort {0}.", "Sort these numbers: {0}.", "Put the numbers {0} in order."];

    public static Problem Reverse(Random random, bool hard)
    {
        string s = Subject(random, hard);
        char[] letters = s.ToCharArray();
        Array.Reverse(letters);
        return Make("reverse", s, Pick.One(random, ReverseForms), new string(letters));
    }

    public static Problem Sort(Random random, bool hard)
    {
        string s = Subject(random, hard);
        char[] letters = s.ToCharArray();
        Array.Sort(letters);
        return Make("sort_letters", s, Pick.One(random, SortForms), new string(letters));
    }

    public static Problem Upper(Random random, bool hard)
    {
        string s = Subject(random, hard);
        return Make("uppercase", s, Pick.One(random, UpperForms), s.ToUpperInvariant());
    }

    public static Problem Count(Random random, bool hard)
    {
        char[] letters = Subject(random, hard).ToCharArray();
        char letter = Pick.One(random, letters);
        for (int extra = random.Next(0, hard ? 4 : 3); extra > 0; extra--)
        {
            letters[random.Next(letters.Length)] = letter;
        }

        if (random.Next(10) == 0)
        {
            letter = (char)('a' + random.Next(26));
        }

        string s = new(letters);
        string question = string.Format(CultureInfo.InvariantCulture, Pick.One(random, CountForms), s, letter);
        string count = s.Count(c => c == letter).ToString(CultureInfo.InvariantCulture);
        return new("count_letter", "str:" + s, question, count);
    }

    public static Problem SortNumbers(Random random, bool hard)
    {
        int[] numbers = new int[hard ? random.Next(5, 7) : random.Next(3, 5)];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = Pick.Number(random, random.Next(3) == 0 ? 1 : 2);
        }

        string listed = string.Join(", ", numbers);
        string sorted = string.Join(", ", numbers.Order());
        string question = string.Format(CultureInfo.InvariantCulture, Pick.One(random, NumberForms), listed);
        return new("sort_numbers", "nums:" + sorted, question, sorted);
    }

    private static string Subject(Random random, bool hard)
    {
        if (random.Next(8) == 0)
        {
            string word = Pick.One(random, Words.Common);
            if (word.Length > 6 == hard)
            {
                return word;
            }
        }

        return hard ? Pick.Letters(random, 7, 10) : Pick.Letters(random, 3, 6);
    }

    private static Problem Make(string task, string s, string form, string answer) =>
        new(task, "str:" + s, string.Format(CultureInfo.InvariantCulture, form, s), answer);
}
