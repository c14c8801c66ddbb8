namespace ModelServe.Codec.Grammars;

/// <summary>Drops states from which no match can be finished. Pure.</summary>
internal static class AutomatonTrimmer
{
    /// <summary>The automaton of the same language without such states; one without any state when the start is among them.</summary>
    /// <remarks>States that mean the same are not merged: the subset construction leaves few, and refinement takes as many rounds as the longest key (90 ms for 380 states).</remarks>
    public static Automaton Trim(List<List<ByteEdge>> edges, List<List<CallEdge>> calls, List<bool> accepting)
    {
        bool[] useful = Useful(edges, calls, accepting);
        if (!useful[0])
        {
            return new Automaton([], [], []);
        }

        var number = new int[useful.Length];
        int count = 0;
        for (int i = 0; i < useful.Length; i++)
        {
            number[i] = useful[i] ? count++ : -1;
        }

        var keptEdges = new ByteEdge[count][];
        var keptCalls = new CallEdge[count][];
        var keptAccepting = new bool[count];
        for (int i = 0; i < useful.Length; i++)
        {
            if (useful[i])
            {
                keptEdges[number[i]] = Moves(edges[i], number);
                keptCalls[number[i]] = Moves(calls[i], number);
                keptAccepting[number[i]] = accepting[i];
            }
        }

        return new Automaton(keptEdges, keptCalls, keptAccepting);
    }

    private static bool[] Useful(List<List<ByteEdge>> edges, List<List<CallEdge>> calls, List<bool> accepting)
    {
        var into = new List<int>[accepting.Count];
        for (int i = 0; i < into.Length; i++)
        {
            into[i] = [];
        }

        for (int i = 0; i < into.Length; i++)
        {
            foreach (int target in edges[i].Select(edge => edge.Target).Concat(calls[i].Select(call => call.Target)))
            {
                into[target].Add(i);
            }
        }

        var useful = accepting.ToArray();
        var open = new Stack<int>(Enumerable.Range(0, useful.Length).Where(i => useful[i]));
        while (open.TryPop(out int state))
        {
            foreach (int before in into[state])
            {
                if (!useful[before])
                {
                    useful[before] = true;
                    open.Push(before);
                }
            }
        }

        return useful;
    }

    private static ByteEdge[] Moves(List<ByteEdge> edges, int[] number)
    {
        var moves = new List<ByteEdge>(edges.Count);
        foreach (ByteEdge edge in edges)
        {
            if (number[edge.Target] >= 0)
            {
                moves.Add(edge with { Target = number[edge.Target] });
            }
        }

        return [.. moves];
    }

    private static CallEdge[] Moves(List<CallEdge> calls, int[] number)
    {
        var moves = new List<CallEdge>(calls.Count);
        foreach (CallEdge call in calls)
        {
            if (number[call.Target] >= 0)
            {
                moves.Add(call with { Target = number[call.Target] });
            }
        }

        return [.. moves];
    }
}
