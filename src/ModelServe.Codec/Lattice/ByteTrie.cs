namespace ModelServe.Codec.Lattice;

/// <summary>A trie over UTF-8 bytes whose edges lie in one open-addressed table. Filled once, then immutable.</summary>
internal sealed class ByteTrie
{
    private const long Empty = -1;

    private long[] _keys = NewKeys(1 << 10);
    private int[] _targets = new int[1 << 10];
    private int[] _ids = [-1];
    private int _nodes = 1;

    /// <summary>The node of the empty prefix.</summary>
    public static int Root => 0;

    /// <summary>Adds a token; one given twice keeps the later id.</summary>
    public void Add(ReadOnlySpan<byte> token, int id)
    {
        int node = Root;
        foreach (byte value in token)
        {
            int next = Next(node, value);
            if (next < 0)
            {
                next = NewNode();
                Insert(Key(node, value), next);
            }
            node = next;
        }
        _ids[node] = id;
    }

    /// <summary>The node one byte further, or -1.</summary>
    public int Next(int node, byte value)
    {
        long[] keys = _keys;
        long key = Key(node, value);
        int index = Home(key, keys.Length);
        while (true)
        {
            long found = keys[index];
            if (found == key)
            {
                return _targets[index];
            }
            if (found == Empty)
            {
                return -1;
            }
            index = (index + 1) & (keys.Length - 1);
        }
    }

    /// <summary>The id of the token that ends at a node, or -1.</summary>
    public int IdAt(int node) => _ids[node];

    private static long Key(int node, byte value) => ((long)node << 8) | value;

    private static int Home(long key, int size) => (int)((ulong)key * 0x9E3779B97F4A7C15UL >> 40) & (size - 1);

    private static long[] NewKeys(int size)
    {
        long[] keys = new long[size];
        Array.Fill(keys, Empty);
        return keys;
    }

    private int NewNode()
    {
        if (_nodes == _ids.Length)
        {
            Array.Resize(ref _ids, _nodes * 2);
            Array.Fill(_ids, -1, _nodes, _nodes);
        }
        return _nodes++;
    }

    private void Insert(long key, int target)
    {
        if (_nodes * 2 > _keys.Length)
        {
            (long[] keys, int[] targets) = (_keys, _targets);
            _keys = NewKeys(keys.Length * 2);
            _targets = new int[keys.Length * 2];
            for (int index = 0; index < keys.Length; index++)
            {
                if (keys[index] != Empty)
                {
                    Put(keys[index], targets[index]);
                }
            }
        }
        Put(key, target);
    }

    private void Put(long key, int target)
    {
        int index = Home(key, _keys.Length);
        while (_keys[index] != Empty)
        {
            index = (index + 1) & (_keys.Length - 1);
        }
        _keys[index] = key;
        _targets[index] = target;
    }
}
