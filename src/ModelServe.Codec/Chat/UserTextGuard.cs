using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Codec.Chat;

/// <summary>
/// Keeps user text from becoming a control token on its way through a chat template. A noncharacter is put behind the first
/// char of each control token's text in every string that comes from outside, and behind a string's end that a neighbour
/// might complete to one; the template carries the marks along, and the rendered text gives their places back.
/// </summary>
internal sealed class UserTextGuard
{
    private const char Mark = '\uFDD0';

    // tojson with ensure_ascii writes the mark so.
    private const string EscapedMark = "\\ufdd0";

    private readonly string[] _controls;
    private readonly SearchValues<char> _firstChars;
    private readonly HashSet<string> _prefixes;
    private readonly int _longest;

    /// <summary>A guard against the texts of these control tokens.</summary>
    public UserTextGuard(IEnumerable<string> controls)
    {
        _controls = [.. controls];
        _firstChars = SearchValues.Create([.. _controls.Select(text => text[0]).Distinct()]);
        _prefixes = _controls.SelectMany(text => Enumerable.Range(1, text.Length - 1).Select(length => text[..length]))
            .ToHashSet(StringComparer.Ordinal);
        _longest = _controls.Select(text => text.Length).DefaultIfEmpty(0).Max();
    }

    /// <summary>The conversation with marks in all its strings.</summary>
    /// <exception cref="ArgumentException">A string already contains the mark, or a role is not a name.</exception>
    public ChatMessage[] Guard(IReadOnlyList<ChatMessage> messages) => [.. messages.Select((message, index) => message with
    {
        Role = Role(message.Role, index),
        Content = message.Content is null ? null : GuardText(message.Content, $"messages[{index}].content"),
        Extra = (JsonObject?)GuardNode(message.Extra, $"messages[{index}]"),
    })];

    /// <summary>The options with marks in tools and arguments.</summary>
    /// <exception cref="ArgumentException">A string already contains the mark.</exception>
    public ChatRenderOptions Guard(ChatRenderOptions options) => options with
    {
        Tools = (JsonArray?)GuardNode(options.Tools, "tools"),
        Arguments = (JsonObject?)GuardNode(options.Arguments, "arguments"),
    };

    /// <summary>The rendered text without marks, and the chars that stood before one.</summary>
    public static (string Text, int[] Guarded) Unmark(string rendered)
    {
        if (!rendered.Contains(Mark, StringComparison.Ordinal) && !rendered.Contains(EscapedMark, StringComparison.Ordinal))
        {
            return (rendered, []);
        }
        var text = new StringBuilder(rendered.Length);
        List<int> guarded = [];
        int position = 0;
        while (position < rendered.Length)
        {
            int width = rendered[position] == Mark
                ? 1
                : string.CompareOrdinal(rendered, position, EscapedMark, 0, EscapedMark.Length) == 0 ? EscapedMark.Length : 0;
            if (width == 0)
            {
                text.Append(rendered[position++]);
                continue;
            }
            position += width;
            if (text.Length > 0 && (guarded.Count == 0 || guarded[^1] != text.Length - 1))
            {
                guarded.Add(text.Length - 1);
            }
        }
        return (text.ToString(), [.. guarded]);
    }

    /// <summary>A string with marks; the same object where none is needed.</summary>
    internal string GuardText(string text, string field)
    {
        if (text.Contains(Mark, StringComparison.Ordinal) || text.Contains(EscapedMark, StringComparison.Ordinal))
        {
            throw new ArgumentException($"{field}: the noncharacter U+FDD0 (also written {EscapedMark}) is not allowed.");
        }
        StringBuilder? marked = null;
        int copied = 0;
        int position = 0;
        while (position < text.Length)
        {
            int found = text.AsSpan(position).IndexOfAny(_firstChars);
            if (found < 0)
            {
                break;
            }
            position += found;
            if (BeginsControl(text.AsSpan(position)))
            {
                marked ??= new StringBuilder(text.Length + 8);
                marked.Append(text, copied, position + 1 - copied).Append(Mark);
                copied = position + 1;
            }
            position++;
        }
        return marked is null ? text : marked.Append(text, copied, text.Length - copied).ToString();
    }

    /// <summary>Whether a control token's text begins here, or all that is left is the beginning of one.</summary>
    private bool BeginsControl(ReadOnlySpan<char> rest)
    {
        foreach (string control in _controls)
        {
            if (rest.StartsWith(control, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return rest.Length < _longest && _prefixes.GetAlternateLookup<ReadOnlySpan<char>>().Contains(rest);
    }

    private static string Role(string role, int index)
    {
        bool isName = role.Length is > 0 and <= 64 && role.All(value => char.IsAsciiLetterOrDigit(value) || value is '_' or '-' or '.');
        return isName
            ? role
            : throw new ArgumentException($"messages[{index}].role: \"{role}\" is not a name of 1 to 64 letters, digits, '_', '-' or '.'.");
    }

    private JsonNode? GuardNode(JsonNode? node, string field)
    {
        switch (node)
        {
            case null:
                return null;
            case JsonObject members:
                var guardedMembers = new JsonObject();
                foreach ((string name, JsonNode? value) in members)
                {
                    guardedMembers[GuardText(name, field)] = GuardNode(value, $"{field}.{name}");
                }
                return guardedMembers;
            case JsonArray items:
                return new JsonArray([.. items.Select((item, index) => GuardNode(item, $"{field}[{index}]"))]);
            default:
                return node.GetValueKind() == JsonValueKind.String
                    ? JsonValue.Create(GuardText(node.GetValue<string>(), field))
                    : node.DeepClone();
        }
    }
}
