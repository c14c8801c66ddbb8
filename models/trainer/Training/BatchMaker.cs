using ModelServe.Trainer.Data;
using ModelServe.Trainer.Model;
using ModelServe.Trainer.Text;

namespace ModelServe.Trainer.Training;

/// <summary>
/// Draws conversations into shelves by padded length and takes a shelf when it is full. Every batch of a shelf has one shape,
/// so that the kernels compiled for it and the memory freed by the last one serve the next; a row holds one conversation.
/// </summary>
internal sealed class BatchMaker(Bpe bpe, Mixture mixture, int stepsPerNeedle)
{
    private const int TokensPerBatch = 576;

    private readonly Dictionary<int, List<Conversation>> _shelves = [];

    /// <summary>The batches of one step: about so many tokens of short conversations, and sometimes a long needle.</summary>
    public List<Batch> Next(int tokens, double hardArithmetic, double hardOther, int longest)
    {
        List<Batch> batches = [];
        if (longest > 0 && mixture.Random.Next(stepsPerNeedle) == 0)
        {
            int sentences = (int)(longest * Math.Pow(mixture.Random.NextDouble(), 1.5)) + 8;
            Conversation needle = Conversation.Of(bpe, [mixture.TrainNeedle(sentences)], system: false);
            if (needle.Ids.Length <= DecoderShape.MaxPositions)
            {
                Shelve(needle, batches);
            }
        }

        while (batches.Sum(b => b.Ids.Length) < tokens)
        {
            Shelve(Draw(hardArithmetic, hardOther), batches);
        }

        return batches;
    }

    private void Shelve(Conversation conversation, List<Batch> batches)
    {
        int length = conversation.Ids.Length - 1;
        int quantum = length <= 64 ? 4 : length <= 128 ? 16 : 128;
        length = (length + quantum - 1) / quantum * quantum;
        if (!_shelves.TryGetValue(length, out List<Conversation>? shelf))
        {
            _shelves.Add(length, shelf = []);
        }

        shelf.Add(conversation);
        if (shelf.Count >= Math.Max(1, TokensPerBatch / length))
        {
            batches.Add(Batch.Of(shelf, length));
            shelf.Clear();
        }
    }

    private Conversation Draw(double hardArithmetic, double hardOther)
    {
        int turns = mixture.Random.Next(12) switch { 0 => 2, 1 => mixture.Random.Next(2, 4), _ => 1 };
        Problem[] problems = [.. Enumerable.Range(0, turns).Select(_ => mixture.Train(hardArithmetic, hardOther))];
        return Conversation.Of(bpe, problems, system: mixture.Random.Next(24) == 0);
    }
}
