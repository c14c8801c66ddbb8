using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Python's strftime in the C locale, for times without a zone name, as datetime.now() makes them.</summary>
internal static class StrftimeFormat
{
    /// <summary>The time as the format says.</summary>
    /// <exception cref="TemplateException">A directive that does not exist.</exception>
    public static string Format(string format, DateTimeOffset time)
    {
        var text = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }

            char flag = i + 1 < format.Length && format[i + 1] is '-' or '_' or '0' or '^' or '#' ? format[++i] : '\0';
            if (++i >= format.Length)
            {
                text.Append('%').Append(flag == '\0' ? "" : flag.ToString());
                break;
            }

            text.Append(WithFlag(Directive(format[i], time), flag));
        }

        return text.ToString();
    }

    private static string WithFlag(string value, char flag)
    {
        string trimmed = value.TrimStart('0', ' ');
        bool isNumber = value.Length > 0 && (char.IsAsciiDigit(value[^1]) && (value[0] == ' ' || char.IsAsciiDigit(value[0])));
        string number = trimmed.Length == 0 ? "0" : trimmed;
        return flag switch
        {
            '-' when isNumber => number,
            '_' when isNumber => number.PadLeft(value.Length),
            '0' when isNumber => number.PadLeft(value.Length, '0'),
            '^' => value.ToUpperInvariant(),
            '#' => value.ToUpperInvariant(),
            _ => value,
        };
    }

    private static string Directive(char directive, DateTimeOffset time)
    {
        int hour12 = ((time.Hour + 11) % 12) + 1;
        int weekday = (int)time.DayOfWeek;
        return directive switch
        {
            'a' => Named(time, "ddd"),
            'A' => Named(time, "dddd"),
            'b' or 'h' => Named(time, "MMM"),
            'B' => Named(time, "MMMM"),
            'c' => Named(time, "ddd MMM ") + Padded(time.Day, 2, ' ') + Named(time, " HH':'mm':'ss yyyy"),
            'C' => Padded(time.Year / 100, 2),
            'd' => Padded(time.Day, 2),
            'D' or 'x' => Named(time, "MM'/'dd'/'yy"),
            'e' => Padded(time.Day, 2, ' '),
            'f' => Padded((int)(time.Ticks % TimeSpan.TicksPerSecond / 10), 6),
            'F' => Named(time, "yyyy-MM-dd"),
            'g' => Padded(ISOWeek.GetYear(time.DateTime) % 100, 2),
            'G' => Padded(ISOWeek.GetYear(time.DateTime), 4),
            'H' => Padded(time.Hour, 2),
            'I' => Padded(hour12, 2),
            'j' => Padded(time.DayOfYear, 3),
            'k' => Padded(time.Hour, 2, ' '),
            'l' => Padded(hour12, 2, ' '),
            'm' => Padded(time.Month, 2),
            'M' => Padded(time.Minute, 2),
            'n' => "\n",
            'p' => time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'r' => $"{Padded(hour12, 2)}{Named(time, "':'mm':'ss")} {(time.Hour < 12 ? "AM" : "PM")}",
            'R' => Named(time, "HH':'mm"),
            's' => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            'S' => Padded(time.Second, 2),
            't' => "\t",
            'T' or 'X' => Named(time, "HH':'mm':'ss"),
            'u' => Padded(weekday == 0 ? 7 : weekday, 1),
            'U' => Padded((time.DayOfYear + 6 - weekday) / 7, 2),
            'V' => Padded(ISOWeek.GetWeekOfYear(time.DateTime), 2),
            'w' => Padded(weekday, 1),
            'W' => Padded((time.DayOfYear + 6 - ((weekday + 6) % 7)) / 7, 2),
            'y' => Padded(time.Year % 100, 2),
            'Y' => time.Year.ToString(CultureInfo.InvariantCulture),
            'z' or 'Z' => "",
            '%' => "%",
            _ => throw new TemplateException($"strftime_now: the directive '%{directive}' is not supported"),
        };
    }

    private static string Named(DateTimeOffset time, string format) => time.ToString(format, CultureInfo.InvariantCulture);

    private static string Padded(int value, int width, char with = '0') =>
        value.ToString(CultureInfo.InvariantCulture).PadLeft(width, with);
}
