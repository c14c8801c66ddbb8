using System.Text.RegularExpressions;
using ModelServe.Codec;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Models;

/// <summary>One model that clients can name: its text side and its engine under one name. Immutable and thread-safe.</summary>
public sealed partial class ServedModel
{
    /// <summary>A model under a name that clients use.</summary>
    /// <param name="name">A letter or digit, then letters, digits, dots, underscores or dashes; at most 64 characters.</param>
    /// <param name="text">Tokenizer, chat template and defaults of the checkpoint.</param>
    /// <param name="engine">The running engine of the same checkpoint.</param>
    /// <exception cref="ArgumentException">The name has another form.</exception>
    public ServedModel(string name, TextModel text, IEngine engine)
        : this(name, text, new ReplicaSet([engine]))
    {
    }

    /// <summary>A model that several engines serve under one name.</summary>
    /// <param name="name">As above.</param>
    /// <param name="text">Tokenizer, chat template and defaults of the checkpoint.</param>
    /// <param name="replicas">The running engines of the same checkpoint.</param>
    /// <exception cref="ArgumentException">The name has another form.</exception>
    public ServedModel(string name, TextModel text, ReplicaSet replicas)
    {
        if (!IsValidName(name))
        {
            throw new ArgumentException(
                $"model name: 1 to 64 letters, digits, dots, underscores or dashes, the first a letter or digit; got '{name}'",
                nameof(name));
        }

        Name = name;
        Text = text;
        Replicas = replicas;
        Grammars = new OutputGrammars(() => TokenTrie.Of(text.Tokenizer, replicas.Geometry.VocabularySize));
    }

    /// <summary>The name that requests give.</summary>
    public string Name { get; }

    /// <summary>Text ↔ ids.</summary>
    public TextModel Text { get; }

    /// <summary>Who runs next: all engines of the model as one.</summary>
    public IEngine Engine => Replicas;

    /// <summary>The engines of the model, one a device.</summary>
    public ReplicaSet Replicas { get; }

    /// <summary>The checkpoint's folder, for those who want its text files; null where there is none.</summary>
    public string? Directory { get; init; }

    /// <summary>The form in which the model writes tool calls and reasoning.</summary>
    public AnswerFormat Answers { get; init; } = AnswerFormat.None;

    /// <summary>Grammars that outputs may be held to.</summary>
    internal OutputGrammars Grammars { get; }

    /// <summary>What has to be disposed when the model is unloaded: engine first, then memory. Null where the process never unloads it.</summary>
    public IDisposable? Resources { get; init; }

    /// <summary>Tokens that one sequence, prompt and output, may have.</summary>
    public int ContextTokens => Engine.Geometry.MaxModelLength;

    /// <summary>Token ids are in [0, this).</summary>
    public int VocabularySize => Engine.Geometry.VocabularySize;

    /// <summary>Whether a name has the form that a served model needs.</summary>
    public static bool IsValidName(string name) => NameForm().IsMatch(name);

    /// <summary>Whether a name has the form that a model loaded by request needs: as on the command line, lower case only.</summary>
    public static bool IsLoadableName(string name) => LoadableNameForm().IsMatch(name);

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex LoadableNameForm();

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NameForm();
}
