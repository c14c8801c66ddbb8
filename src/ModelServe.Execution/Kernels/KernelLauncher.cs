namespace ModelServe.Execution.Kernels;

/// <summary>Launches the native ops on one stream of one device.</summary>
/// <remarks>
/// Every call returns at once; the work runs in stream order. Pointers in the arguments are device pointers and stay owned by
/// the caller, who keeps them alive until the stream has passed the call, or as long as a captured graph may replay it.
/// Thread: one at a time, the engine's.
/// </remarks>
internal sealed unsafe class KernelLauncher(KernelDevice device, KernelStream stream)
{
    /// <summary>Applies block table changes and expands rows to tokens.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void StepBegin(in StepBeginArguments arguments)
    {
        fixed (StepBeginArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_step_begin(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Looks up token embeddings.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void Embed(in EmbedArguments arguments)
    {
        fixed (EmbedArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_embed(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Adds the residual and normalises.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void AddRmsNorm(in AddRmsNormArguments arguments)
    {
        fixed (AddRmsNormArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_add_rmsnorm(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Normalises and rotates heads and writes keys and values into the cache.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void QkRopeKv(in QkRopeKvArguments arguments)
    {
        fixed (QkRopeKvArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_qk_rope_kv(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Attention of one query token a sequence.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void AttentionDecode(in AttentionDecodeArguments arguments)
    {
        fixed (AttentionDecodeArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_attn_decode(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Causal attention of chunks.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void AttentionPrefill(in AttentionPrefillArguments arguments)
    {
        fixed (AttentionPrefillArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_attn_prefill(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Multiplies by a weight matrix.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void Gemm(in GemmArguments arguments)
    {
        fixed (GemmArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_gemm(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Gated activation.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void ActMul(in ActMulArguments arguments)
    {
        fixed (ActMulArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_act_mul(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Quantises rows to fp8.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void QuantFp8(in QuantFp8Arguments arguments)
    {
        fixed (QuantFp8Arguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_quant_fp8(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Gathers the rows whose logits are wanted.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void GatherRows(in GatherRowsArguments arguments)
    {
        fixed (GatherRowsArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_gather_rows(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Greedy choice.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void Argmax(in ArgmaxArguments arguments)
    {
        fixed (ArgmaxArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_argmax(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Bias, penalties, grammar masks.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void LogitsFix(in LogitsFixArguments arguments)
    {
        fixed (LogitsFixArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_logits_fix(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Updates the token counts behind penalties.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void CountTokens(in CountTokensArguments arguments)
    {
        fixed (CountTokensArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_count_tokens(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Draws one token a row.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void Sample(in SampleArguments arguments)
    {
        fixed (SampleArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_sample(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>The most likely tokens of each row.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void TopLogprobs(in TopLogprobsArguments arguments)
    {
        fixed (TopLogprobsArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_top_logprobs(device.Handle, a, stream.Handle));
        }
    }

    /// <summary>Copies whole cache blocks.</summary>
    /// <exception cref="KernelException">The library refused the arguments or the launch.</exception>
    public void BlockCopy(in BlockCopyArguments arguments)
    {
        fixed (BlockCopyArguments* a = &arguments)
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_block_copy(device.Handle, a, stream.Handle));
        }
    }
}
