using System.Text;
using ModelServe.Codec.Chat;
using ModelServe.Engine.Admission;
using ModelServe.Host.Models;

namespace ModelServe.Host.Evaluation;

/// <summary>Asks questions of a model, as many at once as it runs, and judges the answers.</summary>
internal sealed class EvalRunner(HostedModel model, int maxTokens)
{
    /// <summary>Asks all questions greedily; wrong answers are written to <paramref name="wrong"/>.</summary>
    public async Task<EvalReport> RunAsync(IReadOnlyList<EvalQuestion> questions, TextWriter wrong, CancellationToken cancellationToken)
    {
        string[] answers = new string[questions.Count];
        ParallelOptions options = new() { MaxDegreeOfParallelism = model.Engine.Geometry.MaxSequences, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, questions.Count, options, async (i, token) => answers[i] = await AskAsync(i, questions[i], token));
        EvalReport report = new();
        for (int i = 0; i < answers.Length; i++)
        {
            bool right = AnswerCheck.IsRight(questions[i], answers[i]);
            report.Add(questions[i].Task, right);
            if (!right)
            {
                await wrong.WriteLineAsync($"{questions[i].Task}: {questions[i].Messages[^1].Content} | expected {questions[i].Expected} | got {answers[i]}");
            }
        }

        return report;
    }

    private async Task<string> AskAsync(int number, EvalQuestion question, CancellationToken cancellationToken)
    {
        GenerationRequest request = new()
        {
            RequestId = $"eval-{number}",
            PromptTokenIds = model.Text.EncodeChat(question.Messages, new ChatRenderOptions()),
            MaxTokens = maxTokens,
            StopTokenIds = model.Text.StopTokenIds,
            Sampling = SamplingOptions.Greedy with { StopTokenIds = model.Text.StopTokenIds },
        };
        StringBuilder answer = new();
        await foreach (GeneratedToken token in new LocalGeneration(model).StreamAsync(request, cancellationToken))
        {
            answer.Append(token.Text);
            if (token.FinishReason is FinishReason.Error or FinishReason.Exhausted or FinishReason.Cancelled)
            {
                throw new InvalidOperationException($"question {number + 1}: the answer ended with {token.FinishReason}: {token.Error}");
            }
        }

        return answer.ToString();
    }
}
