using System.Collections.Frozen;
using ModelServe.Codec.Grammars;

namespace ModelServe.Codec.Tests.Grammars;

/// <summary>A vocabulary of the 256 single bytes.</summary>
internal static class ByteVocabulary
{
    /// <summary>Token i is byte i.</summary>
    public static TokenTrie Trie { get; } = new([.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })], FrozenDictionary<int, byte[]>.Empty, 256);
}
