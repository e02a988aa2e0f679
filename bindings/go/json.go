package polygraft

import (
	"encoding/json"
	"math"
)

// JSON has no number for NaN and the infinities, and encoding/json fails on them. Numbers that are
// NaN because there was nothing to measure are left out instead, and are NaN again after decoding.

// finite returns a pointer to a number that JSON can hold, or nil, which is left out.
func finite(value float64) *float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// MarshalJSON leaves out Number and LogProbability where they are NaN.
func (p Prediction) MarshalJSON() ([]byte, error) {
	type plain Prediction
	return json.Marshal(struct {
		plain
		Number         *float64 `json:",omitempty"`
		LogProbability *float64 `json:",omitempty"`
	}{plain(p), finite(p.Number), finite(p.LogProbability)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Prediction) UnmarshalJSON(data []byte) error {
	type plain Prediction
	value := plain{Number: math.NaN(), LogProbability: math.NaN()}
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*p = Prediction(value)
	return nil
}

// MarshalJSON leaves out scores, changes and chances where they are NaN.
func (r LanguageReport) MarshalJSON() ([]byte, error) {
	type plain LanguageReport
	return json.Marshal(struct {
		plain
		Before     *float64 `json:",omitempty"`
		After      *float64 `json:",omitempty"`
		Change     *float64 `json:",omitempty"`
		LowerBound *float64 `json:",omitempty"`
		UpperBound *float64 `json:",omitempty"`
		LossChance *float64 `json:",omitempty"`
	}{
		plain(r), finite(r.Before), finite(r.After),
		finite(r.Change), finite(r.LowerBound), finite(r.UpperBound), finite(r.LossChance),
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *LanguageReport) UnmarshalJSON(data []byte) error {
	type plain LanguageReport
	none := math.NaN()
	value := plain{
		Before: none, After: none, Change: none, LowerBound: none, UpperBound: none, LossChance: none,
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*r = LanguageReport(value)
	return nil
}

// MarshalJSON leaves out Loss where it is NaN.
func (p Progress) MarshalJSON() ([]byte, error) {
	type plain Progress
	return json.Marshal(struct {
		plain
		Loss *float64 `json:",omitempty"`
	}{plain(p), finite(p.Loss)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Progress) UnmarshalJSON(data []byte) error {
	type plain Progress
	value := plain{Loss: math.NaN()}
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*p = Progress(value)
	return nil
}
