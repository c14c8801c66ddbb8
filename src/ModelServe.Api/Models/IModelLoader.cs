namespace ModelServe.Api.Models;

/// <summary>How the process turns a checkpoint's folder into a running model; the host's part of Models.Load.</summary>
public interface IModelLoader
{
    /// <summary>Loads a model and starts its engine. Blocks the thread it is called on, which is no pool thread; thread-safe.</summary>
    /// <param name="order">What to load.</param>
    /// <param name="progress">Told on the same thread.</param>
    /// <param name="cancellationToken">Ends the load at its next step; everything taken is given back first.</param>
    /// <returns>The model, whose <see cref="ServedModel.Resources"/> give everything back.</returns>
    /// <exception cref="ModelRefusedException">The checkpoint cannot be served, or an option is out of range.</exception>
    /// <exception cref="OperationCanceledException">The load was cancelled.</exception>
    ServedModel Load(ModelLoadOrder order, IProgress<ModelLoadStep> progress, CancellationToken cancellationToken);
}
