using System.CommandLine.Parsing;
using System.Globalization;

namespace ModelServe.Host.Commands;

/// <summary>Token ids as a comma-separated list on the command line.</summary>
internal static class TokenIdList
{
    /// <summary>Reads the option's value, or adds an error that names the entry.</summary>
    public static int[]? Parse(ArgumentResult result)
    {
        string[] entries = [.. result.Tokens.SelectMany(token => token.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];
        int[] ids = new int[entries.Length];
        for (int i = 0; i < entries.Length; i++)
        {
            if (!int.TryParse(entries[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]))
            {
                result.AddError($"--token-ids: expected non-negative integers separated by commas; got '{entries[i]}'");
                return null;
            }
        }

        return ids;
    }
}
