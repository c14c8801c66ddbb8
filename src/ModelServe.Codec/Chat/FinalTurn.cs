namespace ModelServe.Codec.Chat;

/// <summary>Cuts a rendered conversation where the last turn's content ends. A noncharacter behind the content shows the place. Pure.</summary>
internal static class FinalTurn
{
    private const char Mark = '\uFDD1';

    /// <summary>The turn with the mark behind its content.</summary>
    /// <exception cref="ArgumentException">It has no content, or the mark is in it already.</exception>
    public static ChatMessage Marked(ChatMessage turn) =>
        turn.Content is not { } content ? throw new ArgumentException("messages: the last turn has no content to go on from.")
        : content.Contains(Mark, StringComparison.Ordinal) ? throw new ArgumentException("messages: the noncharacter U+FDD1 is not allowed in a turn that goes on.")
        : turn with { Content = content + Mark };

    /// <summary>The text before the mark.</summary>
    /// <exception cref="ArgumentException">The template does not show the content as it is.</exception>
    public static string Cut(string rendered)
    {
        int place = rendered.LastIndexOf(Mark);
        return place < 0
            ? throw new ArgumentException("messages: the template does not show the last turn's content as it is, so no answer can go on from it.")
            : rendered[..place].Replace(Mark.ToString(), string.Empty, StringComparison.Ordinal);
    }
}
